/**
 * The look of reports: one column of text, wide tables that scroll by themselves, light or dark as
 * the reader's system is, and a form for paper. Text has a contrast of 4.5 or more to its ground.
 */

export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #fff; --sheet: #f6f7f9; --text: #1b1f24; --soft: #57606b; --line: #dde1e6;
  --accent: #1d5bb8; --good: #17713f; --bad: #b3261e; --bar: #c3ccd6;
  --cpu: #2e6cb2; --gpu: #17794a; --neuron: #a34f16; --attached: #7547b0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15181c; --sheet: #1d2126; --text: #e5e8eb; --soft: #a3adb8; --line: #333a42;
    --accent: #85b4ff; --good: #6fd29c; --bad: #ff9b93; --bar: #4b5662;
    --cpu: #82b6f2; --gpu: #62cf98; --neuron: #f0a370; --attached: #c6a5f7;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 400 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
.page { max-width: 72rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: .5rem 1rem; z-index: 1; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
h1 { font-size: clamp(1.5rem, 1.1rem + 1.6vw, 2.1rem); line-height: 1.2; margin: 0 0 .4rem; font-weight: 650; letter-spacing: -.015em; text-wrap: balance; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 .35rem; font-weight: 650; letter-spacing: -.01em; }
h3 { font-size: 1rem; margin: 0 0 .25rem; font-weight: 600; }
section { margin-top: 3rem; }
p { margin: 0 0 .75rem; max-width: 46rem; }
a { color: var(--accent); }
.kicker { font-size: .8125rem; font-weight: 600; color: var(--soft); margin: 0 0 .5rem; }
.lead { font-size: 1.125rem; max-width: 46rem; }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: 0; margin: 1.75rem 0 1.5rem; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.tiles > div { padding: .9rem 1.1rem; border-right: 1px solid var(--line); border-bottom: 1px solid var(--line); margin: 0 -1px -1px 0; }
.tiles dt { font-size: .8125rem; color: var(--soft); }
.tiles dd { margin: 0; font-size: 1.5rem; font-weight: 600; letter-spacing: -.01em; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tiles dd small { display: block; font-size: .8125rem; font-weight: 400; color: var(--soft); letter-spacing: 0; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: 0; font-size: .9375rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; }
.scroll { overflow-x: auto; margin: .75rem 0 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; color: var(--soft); font-size: .875rem; padding: 0 0 .5rem; }
caption span { display: inline-block; position: sticky; left: 0; max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: .42rem .55rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: .25rem; }
thead th { font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--soft); vertical-align: bottom; }
tbody th { font-weight: 600; text-align: left; }
th.text, td.text { text-align: left; }
.reason { display: inline-block; white-space: normal; min-width: 16rem; max-width: 34rem; }
table.short { width: auto; min-width: min(30rem, 100%); }
td small, th small { color: var(--soft); font-weight: 400; font-size: .8125rem; }
tr.best { background: var(--sheet); }
tr.best > :first-child { box-shadow: inset 3px 0 var(--accent); padding-left: .75rem; }
tr.bad td, tr.bad th { color: var(--bad); }
.tag { display: inline-block; font-size: .8125rem; border: 1px solid currentColor; border-radius: 999px; padding: 0 .5rem; line-height: 1.35rem; }
.measured { color: var(--good); } .predicted { color: var(--soft); } .extrapolated { color: var(--neuron); border-style: dashed; }
figure { margin: .75rem 0 0; }
figcaption { font-size: .875rem; color: var(--soft); margin-top: .4rem; max-width: 46rem; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; fill: var(--text); }
svg .soft { fill: var(--soft); }
svg .strong { font-weight: 600; }
svg .halo { paint-order: stroke; stroke: var(--ground); stroke-width: 4px; stroke-linejoin: round; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .axis { stroke: var(--soft); stroke-width: 1; }
svg .limit { stroke: var(--bad); stroke-width: 1.25; stroke-dasharray: 5 4; }
svg .beyond { fill: var(--bad); opacity: .06; }
svg .front { stroke: var(--text); stroke-width: 1.5; fill: none; }
svg .roof { stroke: var(--text); stroke-width: 1.75; fill: none; stroke-linejoin: round; }
svg .drop { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
svg .whisker { stroke: var(--soft); stroke-width: 1.25; }
svg .ring { fill: none; stroke: var(--accent); stroke-width: 2; }
.ours { fill: var(--accent); } .other { fill: var(--bar); }
.cpu { --kind: var(--cpu); } .gpu { --kind: var(--gpu); } .neuron { --kind: var(--neuron); } .attached { --kind: var(--attached); }
.mark { stroke: var(--kind); stroke-width: 1.75; fill: var(--ground); }
.mark.measured-mark { fill: var(--kind); }
.mark.extrapolated-mark { stroke-dasharray: 2.5 2; }
.faint { opacity: .4; }
.wide-chart { min-width: 54rem; }
.multiples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1.75rem 2rem; }
.multiples figure { margin: 0; }
.legend { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin: .6rem 0 0; padding: 0; list-style: none; font-size: .875rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: .4rem; } .legend svg { flex: none; }
.controls { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 1rem 2rem; padding: 1.1rem 1.25rem; background: var(--sheet); border-radius: 8px; margin: 1rem 0 1.25rem; }
.controls label { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; font-size: .9375rem; font-weight: 600; }
.controls label { white-space: nowrap; }
.controls output { font-variant-numeric: tabular-nums; font-weight: 400; white-space: nowrap; }
.controls input { width: 100%; margin: .4rem 0 0; accent-color: var(--accent); min-height: 1.5rem; }
.controls .answer { grid-column: 1 / -1; display: flex; justify-content: space-between; align-items: center; gap: 1rem; flex-wrap: wrap; border-top: 1px solid var(--line); padding-top: .9rem; min-height: 3.6rem; }
.controls .answer p { margin: 0; font-size: 1.0625rem; }
button { font: inherit; font-size: .875rem; color: var(--text); background: var(--ground); border: 1px solid var(--soft); border-radius: 6px; padding: .3rem .8rem; min-height: 2rem; cursor: pointer; }
button:hover { border-color: var(--accent); color: var(--accent); }
pre { background: var(--sheet); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; font: .875rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; margin: .5rem 0 0; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
.note { border-left: 3px solid var(--neuron); padding: .1rem 0 .1rem 1rem; }
ul.notes { padding-left: 1.1rem; max-width: 46rem; } ul.notes li { margin: .2rem 0; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem; }
@media (max-width: 40rem) { .page { padding: 1.5rem 1rem 3rem; } section { margin-top: 2.25rem; } .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: .4rem; } }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
@media (forced-colors: active) { .tag, button { border-color: ButtonText; } .ours, .other { forced-color-adjust: none; } }
@media print {
  :root { color-scheme: light; --ground: #fff; --sheet: #f4f5f7; --text: #000; --soft: #444; --line: #ccc; --accent: #1d5bb8; --good: #17713f; --bad: #b3261e; --bar: #c3ccd6; --cpu: #2e6cb2; --gpu: #17794a; --neuron: #a34f16; --attached: #7547b0; }
  @page { size: A4; margin: 14mm 12mm; }
  body { font-size: 9.5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .page { max-width: none; padding: 0; }
  .controls, .skip, .screen { display: none; }
  section { margin-top: 7mm; } h2 { break-after: avoid; } figure, tr, .tiles, .multiples > * { break-inside: avoid; }
  .scroll { overflow: visible; } table { font-size: 7.5pt; } th, td { padding: .9mm 1.2mm; white-space: normal; } .reason { min-width: 0; }
  td small, th small, .tag { font-size: 7pt; } .tag { padding: 0 1.2mm; line-height: 1.5; white-space: nowrap; }
  thead { display: table-header-group; } .wide-chart { min-width: 0; } .multiples { grid-template-columns: repeat(2, 1fr); gap: 5mm; }
  a { color: inherit; text-decoration: none; }
}
`;

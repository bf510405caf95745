/** Pages of reports in a real browser: whole, readable by everyone, and computing what Node computes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { advise } from 'hone/advisor/advise';
import { loadCatalogue, loadModel, loadWorkloads } from 'hone/advisor/data-files';
import { readDemand } from 'hone/advisor/demand';
import * as queue from 'hone/advisor/queue';
import { adviceHtml } from 'hone/bench/report-html/advice';
import { exploreAll } from 'hone/bench/report-html/explore';
import { type Browser, missingBrowser, openBrowser, type Tab } from '../support/browser.ts';
import { sampleAdvice } from './sample-advice.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-page-'));
const file = path.join(folder, 'advice.html');
const OPTIONS = { date: '2026-11-26', version: '0.1.0' };
const ADVICE = sampleAdvice();
let browser: Browser;

before(() => {
  if (missingBrowser === false) browser = openBrowser();
});
after(async () => {
  if (missingBrowser === false) await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Look {
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
  readonly media?: 'print' | '';
}

async function open(
  page: string,
  { width = 1280, scheme = 'light', media = '' }: Look = {},
): Promise<Tab> {
  writeFileSync(file, page);
  const tab = await browser.newTab();
  await tab.command('Emulation.setDeviceMetricsOverride', {
    width,
    height: 900,
    deviceScaleFactor: 1,
    mobile: false,
  });
  const features = [
    { name: 'prefers-color-scheme', value: scheme },
    { name: 'prefers-reduced-motion', value: 'reduce' },
  ];
  await tab.command('Emulation.setEmulatedMedia', { media, features });
  await tab.open(file);
  return tab;
}

const page = (): string => adviceHtml(ADVICE, queue, OPTIONS);

interface AxNode {
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
  readonly ignored?: boolean;
}

async function rolesOf(
  tab: Tab,
): Promise<readonly { readonly role: string; readonly name: string }[]> {
  const { nodes } = await tab.command<{ nodes: readonly AxNode[] }>('Accessibility.getFullAXTree');
  return nodes
    .filter((node) => node.ignored !== true)
    .map(({ role, name }) => ({ role: role?.value ?? '', name: name?.value ?? '' }));
}

test('the page loads nothing, has landmarks, and names every table, picture and slider', {
  skip: missingBrowser,
}, async () => {
  const tab = await open(page());
  assert.deepEqual([tab.problems, tab.requests], [[], []]);
  const roles = await rolesOf(tab);
  const named = (role: string): string[] =>
    roles.filter((node) => node.role === role).map(({ name }) => name);
  for (const landmark of ['banner', 'main', 'contentinfo'])
    assert.equal(named(landmark).length, 1, landmark);
  for (const role of ['table', 'image', 'slider', 'button', 'region', 'link']) {
    assert.ok(
      named(role).length > 0 && named(role).every((name) => name !== ''),
      `${role}: ${named(role).join('|')}`,
    );
  }
  assert.deepEqual(named('slider'), ['Load', 'Latency limit', 'Prediction error']);
  assert.ok(named('columnheader').length > 20 && named('rowheader').length > 20);
  const headings = await tab.evaluate<number[]>(
    '[...document.querySelectorAll("h1,h2,h3,h4")].map((h) => Number(h.tagName[1]))',
  );
  assert.deepEqual(
    headings.filter((level) => level === 1),
    [1],
  );
  assert.ok(headings.every((level, i) => level - (headings[i - 1] ?? 0) <= 1));
  const ids = await tab.evaluate<string[]>(
    '[...document.querySelectorAll("[id]")].map((e) => e.id)',
  );
  assert.equal(new Set(ids).size, ids.length, 'ids are unique');
  assert.equal(await tab.evaluate('document.documentElement.lang'), 'en');
});

/** Lowest contrast of a text to its ground, over all texts that are shown. */
const CONTRAST = `(() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  let least = { ratio: 99, text: '' };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest('script,style,title,desc,.skip') || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const color = parse(e.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(color), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least.ratio) least = { ratio, text: node.data.trim() };
  }
  return least;
})()`;

test('texts stand out in light, dark and on paper', { skip: missingBrowser }, async () => {
  for (const look of [
    { scheme: 'light' },
    { scheme: 'dark' },
    { scheme: 'dark', media: 'print' },
  ] as const) {
    const tab = await open(page(), look);
    const { ratio, text } = await tab.evaluate<{ ratio: number; text: string }>(CONTRAST);
    assert.ok(ratio >= 4.5, `${JSON.stringify(look)}: "${text}" has ${ratio.toFixed(2)}`);
  }
});

test('narrow windows scroll tables, never the page; paper has no controls', {
  skip: missingBrowser,
}, async () => {
  for (const width of [320, 390, 768, 1280]) {
    const tab = await open(page(), { width });
    assert.ok(
      (await tab.evaluate<number>('document.documentElement.scrollWidth')) <= width,
      `${width}`,
    );
  }
  const tab = await open(page(), { media: 'print' });
  assert.equal(
    await tab.evaluate('getComputedStyle(document.getElementById("explorer")).display'),
    'none',
  );
  const { data } = await tab.command<{ data: string }>('Page.printToPDF', {
    preferCSSPageSize: true,
  });
  const pdf = Buffer.from(data, 'base64').toString('latin1');
  const pages = pdf.match(/\/Type \/Page\b/g)?.length ?? 0;
  assert.ok(pages >= 3 && pages <= 8, `${pages} pages`);
});

test('the keyboard reaches everything, and sees where it is', {
  skip: missingBrowser,
}, async () => {
  const tab = await open(page());
  const focused = (): Promise<string> =>
    tab.evaluate(
      'document.activeElement.id || document.activeElement.getAttribute("aria-label") || document.activeElement.className',
    );
  const seen: string[] = [];
  for (let i = 0; i < 14; i++) {
    await tab.press('Tab', 9);
    if (await tab.evaluate<boolean>('document.activeElement === document.body')) break;
    seen.push(await focused());
    if (i === 0) {
      const box = await tab.evaluate<number>('document.activeElement.getBoundingClientRect().left');
      assert.ok(box >= 0, 'the link to skip is seen when it has the focus');
    }
    assert.notEqual(
      await tab.evaluate('getComputedStyle(document.activeElement).outlineStyle'),
      'none',
    );
  }
  assert.deepEqual(seen.slice(0, 6), [
    'skip',
    'load',
    'limit',
    'error',
    'reset',
    'Cost against latency',
  ]);
  assert.ok(
    seen.some((name) => name.startsWith('Ways to meet')),
    'tables can be scrolled',
  );
});

const tableText = 'document.getElementById("choices").innerText';

test('the sliders compute what the advisor computes', { skip: missingBrowser }, async () => {
  const tab = await open(page());
  const [table, answer] = [
    await tab.evaluate(tableText),
    await tab.evaluate('document.getElementById("answer").innerText'),
  ];
  await tab.evaluate('document.getElementById("load").focus()');
  await tab.press('End', 35);
  const text = await tab.evaluate<string>(
    'document.getElementById("load").getAttribute("aria-valuetext")',
  );
  assert.equal(text, '8,000/s');
  const knobs = { throughput_per_s: 8000, latency_factor: 1, error_factor: 1 };
  const candidates = [...ADVICE.rows, ...ADVICE.alternatives];
  const { best } = exploreAll(candidates, ADVICE.demand, knobs, queue);
  const rows = await tab.evaluate<string[]>(
    '[...document.querySelectorAll("#choices th")].map((cell) => cell.innerText.split("\\n")[0])',
  );
  const expected = best.map(
    ({ candidate, instances, feasible }, i) =>
      `${feasible ? `${i + 1}. ` : ''}${candidate.instance}${instances > 1 ? ` ×${instances}` : ''}`,
  );
  assert.deepEqual(rows, expected);
  assert.ok(best[0]?.feasible && best[0].instances > 1);
  const said = await tab.evaluate<string>('document.getElementById("answer").innerText');
  assert.ok(said.startsWith(`${best[0].candidate.instance} ×${best[0].instances}, $`), said);
  await tab.evaluate('document.getElementById("limit").focus()');
  await tab.press('Home', 36);
  assert.match(await tab.evaluate('document.getElementById("limit-value").textContent'), /P99 5/);
  await tab.evaluate('document.getElementById("reset").focus()');
  await tab.press(' ', 32);
  await tab.evaluate('document.getElementById("reset").click()');
  assert.equal(await tab.evaluate(tableText), table);
  assert.equal(await tab.evaluate('document.getElementById("answer").innerText'), answer);
  assert.deepEqual(tab.problems, []);
});

test('what was asked for, computed again, is what was answered', () => {
  const workload = loadWorkloads().get('resnet50');
  assert.ok(workload !== undefined);
  const real = advise({
    path: 'resnet50.onnx',
    workload,
    catalogue: loadCatalogue(),
    model: loadModel(),
    demand: readDemand({ sla: 'p99=30ms', throughput: '700/s', budget: '20/h', offline: false }),
    today: '2026-11-26',
  });
  assert.ok(real.rows.length > 10);
  for (const { demand, rows, alternatives } of [ADVICE, real]) {
    const knobs = { throughput_per_s: demand.throughput_per_s, latency_factor: 1, error_factor: 1 };
    const { best } = exploreAll([...rows, ...alternatives], demand, knobs, queue);
    const found = best.filter(({ feasible }) => feasible);
    for (const row of rows) {
      const same = found.find(({ candidate }) => candidate.instance === row.instance);
      assert.ok(same !== undefined, row.instance);
      assert.ok(Math.abs(same.per_hour - row.per_hour) < 1e-9, row.instance);
      assert.ok(same.p99_ms <= row.p99_ms.value + 1e-9, row.instance);
    }
    assert.deepEqual(
      found.map(({ candidate }) => candidate.instance),
      rows.map(({ instance }) => instance),
    );
  }
});

test('without its script the page is whole', { skip: missingBrowser }, async () => {
  const tab = await browser.newTab();
  await tab.command('Emulation.setScriptExecutionDisabled', { value: true });
  writeFileSync(file, page());
  await tab.open(file);
  const roles = await rolesOf(tab);
  assert.equal(roles.filter(({ role }) => role === 'slider').length, 0);
  assert.ok(roles.filter(({ role }) => role === 'rowheader').length > 20);
  assert.ok(
    roles.some(({ role, name }) => role === 'image' && name.startsWith('P99 latency against')),
  );
});

test('names cannot break out, whatever they are', { skip: missingBrowser }, async () => {
  const evil = '</script><img src=x onerror="document.title=1">\u2028"\'&<b>';
  const advice = sampleAdvice(evil);
  const rows = advice.rows.map((row) => ({
    ...row,
    instance: evil,
    notes: [evil],
    accelerator: evil,
  }));
  const tab = await open(
    adviceHtml({ ...advice, rows, notes: [evil], compile: evil }, queue, OPTIONS),
  );
  await tab.evaluate('document.getElementById("load").focus()');
  await tab.press('End', 35);
  assert.equal(await tab.evaluate('document.querySelectorAll("img,b").length'), 0);
  assert.equal(await tab.evaluate('document.title'), `Where to run ${evil}`);
  assert.deepEqual([tab.problems, tab.requests], [[], []]);
});

test('nothing that can be done is said, with what could be', { skip: missingBrowser }, async () => {
  const nearest = {
    binding: 'latency',
    reason: 'The least P99 of all is 1.3 ms, and 1 ms is the limit.',
    instead: '--sla p99=1.3ms',
    row: null,
  } as const;
  const none = { ...ADVICE, rows: [], alternatives: [], sensitivity: [], nearest, compile: null };
  const tab = await open(adviceHtml(none, queue, OPTIONS));
  const text = await tab.evaluate<string>('document.body.innerText');
  assert.match(text, /Nothing meets this demand\. The least P99/);
  assert.match(text, /--sla p99=1\.3ms/);
  assert.match(text, /c5\.large/);
  assert.deepEqual(tab.problems, []);
});

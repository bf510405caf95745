/** The roofline of one setting: what its device could do with the model's mix of work, and does. */
import type { CandidateView } from './advice-view.ts';
import { logPlace, logTicks } from './scale.ts';
import { escapeHtml, figure, percent } from './text.ts';

export interface RooflineFacts {
  /** Operations per byte. */
  readonly intensity: number;
  /** Operations a second that the roof allows there. */
  readonly attainable: number;
  readonly share: number;
  readonly bound: 'memory' | 'compute';
}

export function rooflineFacts({ roofline }: CandidateView): RooflineFacts {
  const { flops, bytes, peak_flops_per_s: peak, bandwidth_bytes_per_s: bandwidth } = roofline;
  const intensity = flops / bytes;
  const attainable = Math.min(peak, intensity * bandwidth);
  return {
    intensity,
    attainable,
    share: roofline.attained_flops_per_s / attainable,
    bound: intensity * bandwidth < peak ? 'memory' : 'compute',
  };
}

/** A small figure with its caption. */
export function rooflineFigure(candidate: CandidateView, index: number): string {
  const { roofline, instance, accelerator, precision, batch, accelerator_kind, basis } = candidate;
  const { peak_flops_per_s: peak, bandwidth_bytes_per_s: bandwidth } = roofline;
  const { intensity, attainable, share, bound } = rooflineFacts(candidate);
  const attained = roofline.attained_flops_per_s;
  const [width, height, left, right, top, bottom] = [360, 232, 86, 14, 18, 40];
  const ridge = peak / bandwidth;
  const [x0, x1] = [Math.min(ridge, intensity) / 8, Math.max(ridge, intensity) * 8];
  const [y0, y1] = [Math.min(attained, x0 * bandwidth * 2) / 2, peak * 2.2];
  const x = (value: number): number => left + logPlace(value, x0, x1) * (width - left - right);
  const y = (value: number): number =>
    height - bottom - logPlace(value, y0, y1) * (height - top - bottom);
  const at = (value: number): string => value.toFixed(1);
  const parts: string[] = [];
  const powers = (low: number, high: number): number[] =>
    logTicks(low, high).filter((tick) => Math.abs(Math.log10(tick) % 1) < 1e-9);
  for (const tick of powers(x0, x1)) {
    parts.push(
      `<line class="grid" x1="${at(x(tick))}" x2="${at(x(tick))}" y1="${top}" y2="${height - bottom}"/><text class="soft" x="${at(x(tick))}" y="${height - bottom + 16}" text-anchor="middle">${tick >= 1 ? tick.toLocaleString('en-US') : tick}</text>`,
    );
  }
  for (const tick of powers(y0, y1)) {
    parts.push(
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${at(y(tick))}" y2="${at(y(tick))}"/><text class="soft" x="${left - 6}" y="${at(y(tick) + 4)}" text-anchor="end">${operations(tick, precision)}</text>`,
    );
  }
  const begin = Math.max(x0, y0 / bandwidth);
  parts.push(
    `<path class="roof" d="M${at(x(begin))} ${at(y(begin * bandwidth))}L${at(x(ridge))} ${at(y(peak))}L${at(x(x1))} ${at(y(peak))}"/>`,
    `<text class="halo" x="${width - right - 2}" y="${at(y(peak) - 6)}" text-anchor="end">${operations(peak, precision)} peak</text>`,
    `<line class="drop" x1="${at(x(intensity))}" x2="${at(x(intensity))}" y1="${at(y(attainable))}" y2="${at(y(attained))}"/>`,
    `<g class="${escapeHtml(accelerator_kind)}">${circle(basis, x(intensity), y(attained))}</g>`,
    `<text class="halo strong" x="${at(x(intensity) + 10)}" y="${at(y(attained) + 14)}">${percent(share)}</text>`,
    `<text class="soft" x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">operations per byte</text>`,
  );
  const told = `${figure(intensity)} operations per byte, ${operations(attained, precision)} of ${operations(attainable, precision)} attainable (${percent(share)}), bound by ${bound}`;
  const name = accelerator === null ? instance : `${instance}, ${accelerator}`;
  return `<figure><h3>${escapeHtml(name)}</h3><svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="roof-${index}"><title id="roof-${index}">Roofline of ${escapeHtml(name)}: ${told}</title>${parts.join('')}</svg><figcaption>${escapeHtml(precision)}, batch ${batch}: bound by ${bound}, ${operations(attained, precision)} of ${operations(attainable, precision)}.</figcaption></figure>`;
}

function circle(basis: string, x: number, y: number): string {
  return `<circle class="mark ${basis}-mark" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="5.5"/>`;
}

/** Operations a second with the unit that reads best. */
export function operations(perSecond: number, precision: string): string {
  const units = ['', 'k', 'M', 'G', 'T', 'P'];
  const step = Math.min(
    units.length - 1,
    Math.max(0, Math.floor(Math.log10(perSecond) / 3 + 1e-9)),
  );
  const what = precision === 'int8' ? 'OP/s' : 'FLOP/s';
  return `${figure(perSecond / 1000 ** step)}\u00a0${units[step]}${what}`;
}

/**
 * Cost against latency, as a picture: every setting a mark, those that nothing beats in both joined
 * by a line. Goes into the page's own script as it is.
 */
import type { Explored } from './explore.ts';
import { logEnds, logPlace, logTicks } from './scale.ts';
import { escapeHtml, milliseconds, money } from './text.ts';

export interface ParetoLimits {
  /** Of the 99th percentile; null: none. */
  readonly p99_ms: number | null;
  readonly per_hour: number | null;
  readonly currency: string;
}

/** Points that no other one beats in cost and latency, by cost. */
export function paretoFront(points: readonly Explored[]): readonly Explored[] {
  const sorted = points
    .filter((point) => Number.isFinite(point.p99_ms) && point.per_hour > 0)
    .sort((a, b) => a.per_hour - b.per_hour || a.p99_ms - b.p99_ms);
  let least = Number.POSITIVE_INFINITY;
  return sorted.filter((point) => {
    if (point.p99_ms >= least) return false;
    least = point.p99_ms;
    return true;
  });
}

/** An SVG with its own title and description. */
export function paretoChart(
  best: readonly Explored[],
  others: readonly Explored[],
  limits: ParetoLimits,
): string {
  const [width, height, left, right, top, bottom] = [920, 440, 88, 24, 20, 52];
  const shown = (point: Explored): boolean => Number.isFinite(point.p99_ms) && point.per_hour > 0;
  const main = best.filter(shown);
  // Settings far beyond what was asked for, and beyond all choices, would squeeze the rest.
  const mostCost = 1.5 * Math.max(limits.per_hour ?? 0, ...main.map((point) => point.per_hour));
  const mostTime = 1.5 * Math.max(limits.p99_ms ?? 0, ...main.map((point) => point.p99_ms));
  const rest = others.filter(
    (point) => shown(point) && point.per_hour <= mostCost && point.p99_ms <= mostTime,
  );
  const all = [...main, ...rest];
  const front = paretoFront(all);
  const spans = front.map(({ candidate, p99_ms }) => {
    const { low, high, value } = candidate.p99_ms;
    return [(p99_ms * low) / value, (p99_ms * high) / value] as const;
  });
  const [x0, x1] = logEnds(all.map((point) => point.per_hour));
  const [y0, y1] = logEnds([
    ...all.map((point) => point.p99_ms),
    ...spans.flat(),
    ...(limits.p99_ms === null ? [] : [limits.p99_ms]),
  ]);
  const x = (value: number): number => left + logPlace(value, x0, x1) * (width - left - right);
  const y = (value: number): number =>
    height - bottom - logPlace(value, y0, y1) * (height - top - bottom);
  const at = (value: number): string => value.toFixed(1);
  const parts: string[] = [];
  /** What is taken, so that no label covers another. */
  const boxes: (readonly [number, number, number, number])[] = [];
  for (const tick of logTicks(x0, x1)) {
    parts.push(
      `<line class="grid" x1="${at(x(tick))}" x2="${at(x(tick))}" y1="${top}" y2="${height - bottom}"/><text class="soft" x="${at(x(tick))}" y="${height - bottom + 18}" text-anchor="middle">${money(tick, limits.currency)}</text>`,
    );
  }
  for (const tick of logTicks(y0, y1)) {
    parts.push(
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${at(y(tick))}" y2="${at(y(tick))}"/><text class="soft" x="${left - 8}" y="${at(y(tick) + 4)}" text-anchor="end">${milliseconds(tick)}</text>`,
    );
  }
  parts.push(
    `<text class="soft" x="${(left + width - right) / 2}" y="${height - 8}" text-anchor="middle">cost per hour, all instances</text>`,
    `<text class="soft" transform="translate(14 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">P99 latency</text>`,
  );
  if (limits.p99_ms !== null && limits.p99_ms < y1) {
    const line = y(limits.p99_ms);
    boxes.push([width - right - 180, line - 20, width - right, line + 2]);
    parts.push(
      `<rect class="beyond" x="${left}" y="${top}" width="${width - left - right}" height="${at(Math.max(0, line - top))}"/><line class="limit" x1="${left}" x2="${width - right}" y1="${at(line)}" y2="${at(line)}"/><text class="halo" x="${width - right - 6}" y="${at(line - 6)}" text-anchor="end">asked for: P99 ${milliseconds(limits.p99_ms)}</text>`,
    );
  }
  if (limits.per_hour !== null && limits.per_hour > x0 && limits.per_hour < x1) {
    const line = x(limits.per_hour);
    boxes.push([line - 2, top, line + 2, height - bottom]);
    parts.push(
      `<rect class="beyond" x="${at(line)}" y="${top}" width="${at(width - right - line)}" height="${height - top - bottom}"/><line class="limit" x1="${at(line)}" x2="${at(line)}" y1="${top}" y2="${height - bottom}"/><text class="halo" x="${at(line + 6)}" y="${height - bottom - 8}">budget</text>`,
    );
  }
  const steps = front.map((point, i) => {
    const before = front[i - 1];
    const corner = before === undefined ? '' : `L${at(x(point.per_hour))} ${at(y(before.p99_ms))}`;
    return `${corner}${i === 0 ? 'M' : 'L'}${at(x(point.per_hour))} ${at(y(point.p99_ms))}`;
  });
  for (const point of rest)
    parts.push(paretoMark(point, x(point.per_hour), y(point.p99_ms), 3.5, true));
  if (front.length > 1) parts.push(`<path class="front" d="${steps.join('')}"/>`);
  front.forEach((point, i) => {
    const before = front[i - 1];
    if (before === undefined) return;
    const [fx, fy, tx, ty] = [
      x(before.per_hour),
      y(before.p99_ms),
      x(point.per_hour),
      y(point.p99_ms),
    ];
    boxes.push([fx, fy - 3, tx, fy + 3], [tx - 3, fy, tx + 3, ty]);
  });
  // How sure the best ones are: the interval of the estimate.
  front.forEach((point, i) => {
    const [low, high] = (spans[i] ?? [0, 0]).map(y);
    const across = x(point.per_hour);
    if (low === undefined || high === undefined || !(low > high)) return;
    boxes.push([across - 2, high, across + 2, low]);
    parts.push(
      `<line class="whisker" x1="${at(across)}" x2="${at(across)}" y1="${at(low)}" y2="${at(high)}"/>`,
    );
  });
  const winner = main.find((point) => point.feasible);
  for (const point of main) {
    const [px, py] = [x(point.per_hour), y(point.p99_ms)];
    parts.push(paretoMark(point, px, py, 6, !point.feasible));
    boxes.push([px - 8, py - 8, px + 8, py + 8]);
    if (point === winner) parts.push(`<circle class="ring" cx="${at(px)}" cy="${at(py)}" r="11"/>`);
  }
  const named = new Set(front.map((point) => point.candidate.instance));
  const wanted = [...main].sort(
    (a, b) =>
      Number(b === winner) - Number(a === winner) ||
      Number(named.has(b.candidate.instance)) - Number(named.has(a.candidate.instance)),
  );
  for (const point of wanted) {
    const name = `${point.candidate.instance}${point.instances > 1 ? ` ×${point.instances}` : ''}`;
    const [px, py, wide] = [x(point.per_hour), y(point.p99_ms), name.length * 6.6];
    const places: readonly (readonly [number, number, 'start' | 'end' | 'middle'])[] = [
      [px + 13, py + 4, 'start'],
      [px - 13, py + 4, 'end'],
      [px, py - 15, 'middle'],
      [px, py + 22, 'middle'],
      [px + 9, py - 13, 'start'],
      [px + 9, py + 20, 'start'],
      [px - 9, py - 13, 'end'],
    ];
    for (const [tx, ty, anchor] of places) {
      const from = anchor === 'start' ? tx : anchor === 'end' ? tx - wide : tx - wide / 2;
      const box = [from - 2, ty - 11, from + wide + 2, ty + 3] as const;
      const inside =
        box[0] > left && box[2] < width && box[1] > top - 8 && box[3] < height - bottom;
      const free = boxes.every(
        (b) => b[2] < box[0] || b[0] > box[2] || b[3] < box[1] || b[1] > box[3],
      );
      if (!inside || !free) continue;
      boxes.push(box);
      parts.push(
        `<text class="halo${point === winner ? ' strong' : ''}" x="${at(tx)}" y="${at(ty)}" text-anchor="${anchor}">${escapeHtml(name)}</text>`,
      );
      break;
    }
  }
  const told = front.map(
    (point) =>
      `${point.candidate.instance} at ${money(point.per_hour, limits.currency)} an hour with ${milliseconds(point.p99_ms)}`,
  );
  return `<svg class="wide-chart" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="pareto-title pareto-text"><title id="pareto-title">P99 latency against cost per hour</title><desc id="pareto-text">${all.length} settings. Nothing is both cheaper and quicker than: ${escapeHtml(told.join('; ') || 'none')}. The table of choices has all figures.</desc>${parts.join('')}</svg>`;
}

/** A mark: its form says the kind of hardware, its filling how sure the figure is. */
export function paretoMark(
  { candidate, per_hour, p99_ms }: Explored,
  x: number,
  y: number,
  size: number,
  faint: boolean,
): string {
  const { accelerator_kind: kind, basis, instance, precision, batch } = candidate;
  const label = `${instance}, ${precision}, batch ${batch}: ${per_hour.toFixed(2)} an hour, P99 ${milliseconds(p99_ms)}, ${basis}`;
  return `<g class="${kind}${faint ? ' faint' : ''}"><title>${escapeHtml(label)}</title>${markForm(kind, basis, x, y, size)}</g>`;
}

export function markForm(kind: string, basis: string, x: number, y: number, size: number): string {
  const at = (value: number): string => value.toFixed(1);
  const look = `class="mark ${basis}-mark"`;
  const r = size;
  switch (kind) {
    case 'gpu':
      return `<rect ${look} x="${at(x - r * 0.9)}" y="${at(y - r * 0.9)}" width="${at(r * 1.8)}" height="${at(r * 1.8)}"/>`;
    case 'neuron':
      return `<path ${look} d="M${at(x)} ${at(y - r * 1.25)}L${at(x + r * 1.25)} ${at(y)}L${at(x)} ${at(y + r * 1.25)}L${at(x - r * 1.25)} ${at(y)}Z"/>`;
    case 'attached':
      return `<path ${look} d="M${at(x)} ${at(y - r * 1.2)}L${at(x + r * 1.15)} ${at(y + r * 0.85)}L${at(x - r * 1.15)} ${at(y + r * 0.85)}Z"/>`;
    default:
      return `<circle ${look} cx="${at(x)}" cy="${at(y)}" r="${at(r)}"/>`;
  }
}

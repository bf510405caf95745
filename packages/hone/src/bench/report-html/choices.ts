/** The ranked table of an advice. Goes into the page's own script as it is. */
import type { CandidateView, EstimateView } from './advice-view.ts';
import type { Explored } from './explore.ts';
import type { Row } from './page.ts';
import { bytes, escapeHtml, figure, milliseconds, money, percent, rate } from './text.ts';

/** A row as the advisor gave it, in the form that the sliders compute. */
export function asGiven(candidate: CandidateView): Explored {
  return {
    candidate,
    feasible: true,
    instances: candidate.instances,
    per_hour: candidate.per_hour,
    per_million: candidate.per_million,
    p50_ms: candidate.p50_ms.value,
    p99_ms: candidate.p99_ms.value,
    usable_per_s: candidate.usable_per_s,
    utilisation: candidate.utilisation,
  };
}

export function choiceRow(point: Explored, place: number, currency: string): Row {
  const { candidate: c, feasible } = point;
  const device = c.accelerator === null ? '' : `<br><small>${escapeHtml(c.accelerator)}</small>`;
  const count = point.instances > 1 ? ` ×${point.instances}` : '';
  const fallback =
    c.fallback === null ? '' : `<br><small>${percent(c.fallback.share)} of it on the CPU</small>`;
  return {
    ...(feasible && place === 0 ? { mark: 'best' as const } : {}),
    ...(feasible ? {} : { mark: 'bad' as const }),
    cells: [
      `${feasible ? `${place + 1}. ` : ''}${escapeHtml(c.instance)}${count}${device}`,
      `${escapeHtml(c.precision)}, batch ${c.batch}<br><small>${c.concurrency} in flight, ${escapeHtml(c.engine)}</small>${fallback}`,
      `<span class="tag ${c.basis}">${c.basis}</span>`,
      milliseconds(point.p50_ms),
      interval(point.p99_ms, c.p99_ms, c.basis),
      `${money(point.per_hour, currency)}<br><small>${feasible ? `${money(c.price_per_hour, currency)}\u00a0each` : 'not within the demand'}</small>`,
      money(point.per_million, currency),
      `${rate(c.throughput_per_s.value)}<br><small>${rate(point.usable_per_s)}\u00a0usable</small>`,
      percent(point.utilisation),
      `${bytes(c.memory_bytes)}<br><small>of ${bytes(c.memory_capacity_bytes)}</small>`,
    ],
  };
}

/** A figure with the interval of its estimate; the interval moves with the figure. */
export function interval(value: number, given: EstimateView, basis: string): string {
  const text = milliseconds(value);
  const scale = value / given.value;
  const [low, high] = [given.low * scale, given.high * scale];
  if (!Number.isFinite(low) || !Number.isFinite(high) || (basis === 'measured' && low === high))
    return text;
  const span = `${high < 10_000 ? figure(low) : milliseconds(low)}\u2060–\u2060${milliseconds(high)}`;
  return `${text}<br><small>${span}</small>`;
}

/**
 * Texts of the report. These functions go into the page's own script as they are: they use nothing
 * but each other.
 */

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** Three significant figures, thousands apart; "–" for what is no number. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value) && Math.abs(value) < 100) return String(value);
  const size = Math.floor(Math.log10(Math.abs(value)));
  if (size >= 2) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.min(6, Math.max(0, 2 - size)));
}

export function milliseconds(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  return ms >= 10_000 ? `${figure(ms / 1000)}\u00a0s` : `${figure(ms)}\u00a0ms`;
}

/** Whole numbers with thousands apart, others with three figures. */
export function rate(perSecond: number): string {
  return Number.isFinite(perSecond) ? `${figure(perSecond)}/s` : '–';
}

export function money(value: number, currency: string): string {
  if (!Number.isFinite(value)) return '–';
  const digits = value >= 1000 ? 0 : value >= 0.1 ? 2 : 4;
  const text = value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return currency === 'USD' ? `$${text}` : `${text}\u00a0${currency}`;
}

export function percent(share: number): string {
  if (!Number.isFinite(share)) return '–';
  return `${share > 0 && share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)}%`;
}

/** A factor, as short as it can be written. */
export function factor(value: number): string {
  return `×\u00a0${Number(value.toPrecision(3))}`;
}

export function bytes(count: number): string {
  const gib = count / 2 ** 30;
  return gib >= 1 ? `${figure(gib)}\u00a0GiB` : `${figure(count / 2 ** 20)}\u00a0MiB`;
}

/**
 * Latency of a station under load. One function without outer names, so that a page can carry its
 * text and compute the same.
 *
 * Requests of one item arrive at random (Poisson) and wait in one queue for `lanes` servers that
 * take batches of fixed time. A batch larger than 1 is waited for until it is full. The tail of the
 * wait is the exponential one of M/D/1 (decay rate θ solves ρ(e^θ − 1) = θ), shortened by the
 * lanes, and by the probability of waiting for several servers (Sakasegawa 1977).
 */
import type { Station } from './advice-types.ts';

/**
 * Latency in milliseconds at `ratePerSecond` items a second to one station, of a percentile between
 * 0 and 100; Infinity where the load is more than the station can do.
 */
export function latencyAtLoad(station: Station, ratePerSecond: number, percentile: number): number {
  const { service_ms: service, lanes, batch, tail, network_ms: network } = station;
  const share = percentile / 100;
  const capacity = (lanes * batch * 1000) / service;
  const load = ratePerSecond / capacity;
  if (!(load < 1)) return Number.POSITIVE_INFINITY;
  // The service time itself: its median, stretched towards its 99th percentile.
  const stretch = share <= 0.5 ? 1 : 1 + (tail - 1) * Math.min(1, (share - 0.5) / 0.49);
  // The first item of a batch waits for the last.
  const filling = batch > 1 && load > 0 ? ((batch - 1) * 1000) / ratePerSecond : 0;
  const full = Math.min(filling, service) * share;
  let waiting = 0;
  if (load > 0) {
    const busy = load ** (Math.sqrt(2 * (lanes + 1)) - 1);
    // Both are bounds from above; Newton's steps come down from there.
    let theta = Math.min((2 * (1 - load)) / load, 2 - 2 * Math.log(load));
    for (let step = 0; step < 40; step++) {
      const slope = load * Math.exp(theta) - 1;
      const next = theta - (load * Math.expm1(theta) - theta) / slope;
      if (!(next > 0)) break;
      theta = next;
    }
    const beyond = busy / (1 - share);
    waiting = beyond > 1 ? (Math.log(beyond) * service) / (theta * lanes) : 0;
  }
  return service * stretch + full + waiting + network;
}

/** Largest load in items a second at which every limit (milliseconds by percentile) holds; 0: none. */
export function usableLoad(station: Station, limits: Readonly<Record<string, number>>): number {
  const capacity = (station.lanes * station.batch * 1000) / station.service_ms;
  const wanted = Object.entries(limits);
  const holds = (rate: number): boolean =>
    wanted.every(([percentile, ms]) => latencyAtLoad(station, rate, Number(percentile)) <= ms);
  // Nobody plans for more: the queue would grow with any disturbance.
  const most = capacity * 0.95;
  if (wanted.length === 0 || holds(most)) return most;
  let [low, high] = [0, most];
  if (!holds(capacity * 1e-6)) return 0;
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

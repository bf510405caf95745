/** Keys of maps among inputs and outputs, as the manifest has them. */
import { broken, type Field, hasMember, list, member } from './json.ts';
import type { MapKeys } from './program.ts';

/** The member `keys` of a signature's entry, where there is one. */
export function parseKeys(field: Field): { readonly keys?: MapKeys } {
  if (!hasMember(field, 'keys')) return {};
  const keys = member(field, 'keys');
  const values = list(keys).map(({ value }) => value);
  if (values.every((value) => typeof value === 'string')) return { keys: values };
  if (values.every((value) => typeof value === 'number' && Number.isInteger(value))) {
    return { keys: values as number[] };
  }
  return broken(keys.path, 'are neither texts nor whole numbers');
}

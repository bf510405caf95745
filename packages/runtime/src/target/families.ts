/**
 * Families of rented machines, by the names that compile jobs use, and the target each maps to:
 * the most that every machine of the family has.
 */

export const FAMILIES: Readonly<Record<string, string>> = {
  ml_m4: 'x86-64-v3-linux-gnu',
  ml_c4: 'x86-64-v3-linux-gnu',
  ml_m5: 'x86-64-v4-linux-gnu',
  ml_c5: 'x86-64-v4-linux-gnu',
  ml_m5a: 'x86-64-v3-linux-gnu',
  ml_c5a: 'x86-64-v3-linux-gnu',
  ml_m6i: 'x86-64-v4+vnni+vbmi-linux-gnu',
  ml_c6i: 'x86-64-v4+vnni+vbmi-linux-gnu',
  ml_m6a: 'x86-64-v3-linux-gnu',
  ml_c6a: 'x86-64-v3-linux-gnu',
  ml_m6g: 'arm64+dotprod+fp16-linux-gnu',
  ml_c6g: 'arm64+dotprod+fp16-linux-gnu',
  ml_m7i: 'x86-64-v4+vnni+bf16+vbmi+fp16-linux-gnu',
  ml_c7i: 'x86-64-v4+vnni+bf16+vbmi+fp16-linux-gnu',
  ml_m7a: 'x86-64-v4+vnni+bf16+vbmi-linux-gnu',
  ml_c7a: 'x86-64-v4+vnni+bf16+vbmi-linux-gnu',
  ml_m7g: 'arm64+dotprod+i8mm+bf16+fp16-linux-gnu',
  ml_c7g: 'arm64+dotprod+i8mm+bf16+fp16-linux-gnu',
};

/** Families known to users of compile services that need an accelerator's back end. */
export const GPU_FAMILIES: readonly string[] = [
  'ml_p2',
  'ml_p3',
  'ml_g4dn',
  'ml_inf1',
  'ml_inf2',
  'ml_eia2',
];

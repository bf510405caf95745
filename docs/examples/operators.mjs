// Operators of the domain com.acme, for `hone compile model.onnx --ops operators.mjs`.

/** x · sigmoid(beta · x), from operators that there are: it compiles and fuses as they do. */
const swish = {
  domain: 'com.acme',
  name: 'Swish',
  doc: 'x times the sigmoid of beta times x.',
  attrs: { beta: { type: 'float', default: 1 } },
  infer: ({ inputs }) => [inputs[0].type],
  decompose(b, [x], { attrs }) {
    const { dtype } = b.typeOf(x);
    const scaled = b.op('Mul', [x, b.scalar(attrs.beta, dtype)]);
    return [b.op('Mul', [x, b.op('Sigmoid', [scaled])])];
  },
};

/** The largest element so far, along the last axis: a loop that carries a value, so written in C. */
const runningMax = {
  domain: 'com.acme',
  name: 'RunningMax',
  infer({ inputs }) {
    const { type } = inputs[0];
    if (type.dtype !== 'f32') throw new Error(`it takes f32, not ${type.dtype}`);
    return [type];
  },
  lower({ inputs }) {
    const [rows, columns] = rowsOf(inputs[0].type.shape);
    return [{ kind: 'routine', routine: 'acme_running_max', dims: [rows, columns], scalars: [] }];
  },
  kernels: {
    acme_running_max: `
// Operand x, output y; dim: rows, columns. Each worker takes its part of the rows.
HONE_RT void hone_rt_acme_running_max(HONE_RT_ARGS) {
  const float *const x = (const float *)buf[0];
  float *const y = (float *)buf[1];
  const int64_t hi = hone_rt_hi(dim[0], w);
  (void)scalar;
  for (int64_t r = hone_rt_lo(dim[0], w); r < hi; r++) {
    for (int64_t c = 0; c < dim[1]; c++) {
      const int64_t i = r * dim[1] + c;
      y[i] = c > 0 && y[i - 1] > x[i] ? y[i - 1] : x[i];
    }
  }
}`,
  },
  /** The same in plain loops: what tests, `hone compare` and the folding of constants go by. */
  reference([x]) {
    const [rows, columns] = rowsOf(x.shape);
    const data = Float32Array.from(x.data);
    for (let r = 0; r < rows; r++) {
      for (let i = r * columns + 1; i < (r + 1) * columns; i++) {
        if (data[i - 1] > data[i]) data[i] = data[i - 1];
      }
    }
    return [{ dtype: 'f32', shape: x.shape, data }];
  },
};

function rowsOf(shape) {
  const columns = shape.at(-1) ?? 1;
  return [shape.slice(0, -1).reduce((product, extent) => product * extent, 1), columns];
}

export const operators = [swish, runningMax];

"""Runs artifacts for the tests. Arguments: JSON requests, each {artifact, inputs, target, threads,
verify, key}.

Inputs are files with the raw elements, in the model's order. For each request one line of JSON
comes out: {target, outputs} with the bytes as hexadecimal text, or {code} of the error.
"""

import json
import sys

import numpy as np

import hone_runtime


def answer(request):
    try:
        options = {name: request[name] for name in ("target", "verify", "key") if name in request}
        threads = request.get("threads", 1)
        with hone_runtime.load(request["artifact"], threads, poison=True, **options) as model:
            inputs = {
                spec.name: np.fromfile(file, spec.numpy_dtype).reshape(spec.shape)
                for spec, file in zip(model.inputs, request.get("inputs", []))
            }
            if not inputs:
                return {"target": model.target}
            outputs = model.run(inputs)
            return {
                "target": model.target,
                "outputs": [outputs[spec.name].tobytes().hex() for spec in model.outputs],
            }
    except hone_runtime.HoneError as error:
        assert error.cure, f"{error.code} has no cure"
        return {"code": error.code}


for text in sys.argv[1:]:
    print(json.dumps(answer(json.loads(text))))

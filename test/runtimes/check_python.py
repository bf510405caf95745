"""What hone_runtime.py does with arrays, contexts, mistakes and signatures.

Argument: a folder with the artifacts small.hone and types.hone, and signatures.json: a list of
{key, message, signature, valid}, in hexadecimal digits.
"""

import json
import os
import sys
import threading

import numpy as np

import hone_runtime
from hone_runtime import HoneError, load

folder = sys.argv[1]
small = os.path.join(folder, "small.hone")
types = os.path.join(folder, "types.hone")
random = np.random.default_rng(3)


def refused(code, work):
    try:
        work()
    except HoneError as error:
        assert error.code == code, f"{error.code} instead of {code}: {error}"
        assert error.cure and error.subject and code in str(error), error
    else:
        raise AssertionError(f"no {code}")


def values():
    return random.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)


def check_arrays():
    with load(small, threads=1) as model:
        (x_spec,), (y_spec,) = model.inputs, model.outputs
        assert x_spec == ("x", "f32", (1, 3, 8, 8), 768, None, (), None) and x_spec.numpy_dtype == np.float32
        assert y_spec.shape == (1, 4) and model.name == "small" and model.threads == 1
        x = values()
        y = model.run({"x": x})["y"]
        assert y.shape == (1, 4) and abs(y.sum() - 1) < 1e-5
        # Elements that do not lie one after the other are copied.
        turned = np.asfortranarray(x)
        assert not turned.flags.c_contiguous
        assert (model.run({"x": turned})["y"] == y).all()
        steps = np.repeat(x, 2, axis=3)[:, :, :, ::2]
        assert (model.run({"x": steps})["y"] == y).all()
        own = np.empty((1, 4), np.float32)
        assert model.run({"x": x}, {"y": own})["y"] is own and (own == y).all()
        assert [step["label"] for step in model.describe()["steps"]]
        refused("HONE-INPUT-001", lambda: model.run({}))
        refused("HONE-INPUT-002", lambda: model.run({"x": x, "z": x}))
        refused("HONE-INPUT-002", lambda: model.run({"x": x}, {"z": x}))
        refused("HONE-INPUT-003", lambda: model.run({"x": x.astype(np.float64)}))
        refused("HONE-INPUT-003", lambda: model.run({"x": x.astype(">f4")}))
        refused("HONE-INPUT-004", lambda: model.run({"x": x[0]}))
        refused("HONE-INPUT-005", lambda: model.run({"x": x[:, :2]}))
        refused("HONE-INPUT-005", lambda: model.run({"x": x}, {"y": np.empty((1, 5), np.float32)}))
        refused("HONE-INPUT-007", lambda: model.run({"x": x}, {"y": own[:, ::-1]}))
        refused("HONE-INPUT-007", lambda: model.run({"x": x}, {"y": [[0, 0, 0, 0]]}))
        own.flags.writeable = False
        refused("HONE-INPUT-007", lambda: model.run({"x": x}, {"y": own}))


def check_types():
    a = random.uniform(-1, 1, (2, 3)).astype(np.float32)
    i = np.array([[1, -2, 3], [2**62, -(2**62), 0]])
    flag = np.array([True, False, True])
    with load(types, threads=2) as model:
        inputs = {"a": a, "i": i, "flag": flag, "scalar": np.float32(2)}
        out = model.run(inputs)
        assert (out["scaled"] == a * 2).all()
        assert (out["twice"] == i + i).all() and out["twice"].dtype == np.int64
        assert (out["not"] == ~flag).all() and out["not"].dtype == np.bool_
        same = np.empty((2, 3), np.int64)
        shared = {"scaled": same.view(np.float32)[:, ::2].copy(), "twice": same}
        assert (model.run(inputs, shared)["twice"] == i + i).all()
        memory = np.empty(48, np.uint8)
        overlapping = {
            "scaled": memory[:24].view(np.float32).reshape(2, 3),
            "twice": memory.view(np.int64).reshape(2, 3),
        }
        refused("HONE-INPUT-008", lambda: model.run(inputs, overlapping))


def check_contexts():
    model = load(small, threads=1)
    wanted = [(x, model.run({"x": x})["y"]) for x in (values() for _ in range(8))]
    contexts = [model, model.create_context(threads=2)]
    contexts += [model.create_context(threads=2, group=7) for _ in range(2)]
    wrong = []

    def work(context):
        for _ in range(20):
            for x, y in wanted:
                if not (context.run({"x": x})["y"] == y).all():
                    wrong.append(context)

    # Two threads for each context: one of them waits.
    workers = [threading.Thread(target=work, args=(c,)) for c in contexts for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    model.close()
    model.close()
    x, y = wanted[0]
    assert (contexts[1].run({"x": x})["y"] == y).all()
    refused("HONE-RUN-011", lambda: model.run({"x": x}))
    refused("HONE-RUN-011", model.create_context)
    for context in contexts[1:]:
        context.close()


def check_loading():
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        with load(small, verify="full") as one, load(types) as two, load(small, threads=1) as three:
            x = values()
            assert (one.run({"x": x})["y"] == three.run({"x": x})["y"]).all()
            assert one.threads >= 1 and two.threads >= 1
    if before:
        assert len(os.listdir("/proc/self/fd")) == before, "descriptors were left open"
        with open("/proc/self/maps") as maps:
            assert "memfd:hone" not in maps.read(), "a library was left loaded"
    for threads in (-1, 1.5, 100_000, True):
        refused("HONE-RUN-008", lambda: load(small, threads=threads))
    refused("HONE-RUN-009", lambda: load(small, target="arm64-macos"))
    refused("HONE-TARGET-001", lambda: load(small, target="pentium"))


def check_signatures():
    with open(os.path.join(folder, "signatures.json"), encoding="ascii") as file:
        cases = json.load(file)
    assert len(cases) > 20
    for case in cases:
        key, message, signature = (
            bytes.fromhex(case[name]) for name in ("key", "message", "signature")
        )
        assert hone_runtime._ed25519_verify(key, message, signature) == case["valid"], case


check_signatures()
check_arrays()
check_types()
check_contexts()
check_loading()
print("all checks passed")

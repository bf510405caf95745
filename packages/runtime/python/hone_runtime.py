"""Loads and runs models compiled by Hone.

    import hone_runtime

    with hone_runtime.load("model.hone") as model:
        outputs = model.run({"x": x})

This one file is the whole runtime: it needs Python 3.8 or newer and numpy, and calls the artifact's
own library through ctypes. Before any code of an artifact runs, its manifest and library are
compared with their digests and every file with its size; the bytes that were compared are the bytes
that are loaded. With a public key the signature is checked before that, and the weights too. The
library itself checks the processor before any kernel runs. Every failure is a HoneError with a
stable code and a cure.

A context runs one request at a time and may be used from any thread; create_context makes more,
which share the weights and run at the same time (calls into the library release the GIL).
"""

import _ctypes
import base64
import binascii
import ctypes
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

__all__ = ["Context", "HoneError", "Model", "TensorSpec", "load"]

FORMAT = "hone-artifact"
FORMAT_VERSION = 1
ABI_VERSION = 1

_MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 256 << 20
_SIGNATURE = "manifest.sig"
_MAX_SIGNATURE_BYTES = 4096
_CHUNK_BYTES = 1 << 20
_MAX_RANK = 8
_MAX_THREADS = 256
_AGAIN = "fetch or compile the artifact again"

# Name: number in the C interface, and how numpy stores it. bf16 has its bits in a uint16; floats of 4 and
# 8 bits have theirs in a uint8, and integers of 2 and 4 bits take a byte each.
_DTYPES = {
    "f32": (1, np.dtype(np.float32)),
    "u8": (2, np.dtype(np.uint8)),
    "i8": (3, np.dtype(np.int8)),
    "u16": (4, np.dtype(np.uint16)),
    "i16": (5, np.dtype(np.int16)),
    "i32": (6, np.dtype(np.int32)),
    "i64": (7, np.dtype(np.int64)),
    "bool": (9, np.dtype(np.bool_)),
    "f16": (10, np.dtype(np.float16)),
    "f64": (11, np.dtype(np.float64)),
    "u32": (12, np.dtype(np.uint32)),
    "u64": (13, np.dtype(np.uint64)),
    "bf16": (16, np.dtype(np.uint16)),
    "f8e4m3fn": (17, np.dtype(np.uint8)),
    "f8e4m3fnuz": (18, np.dtype(np.uint8)),
    "f8e5m2": (19, np.dtype(np.uint8)),
    "f8e5m2fnuz": (20, np.dtype(np.uint8)),
    "u4": (21, np.dtype(np.uint8)),
    "i4": (22, np.dtype(np.int8)),
    "f4e2m1": (23, np.dtype(np.uint8)),
    "f8e8m0": (24, np.dtype(np.uint8)),
    "u2": (25, np.dtype(np.uint8)),
    "i2": (26, np.dtype(np.int8)),
}


class HoneError(Exception):
    """A failure: `code` is stable, `subject` is what it is about, `cure` what can be done."""

    def __init__(self, code: str, message: str, subject: str = "", cure: str = ""):
        super().__init__(f"{code}: {message}" + (f" ({cure})" if cure else ""))
        self.code = code
        self.message = message
        self.subject = subject
        self.cure = cure


class TensorSpec(NamedTuple):
    """An input or output of a model."""

    name: str
    #: Hone's name: "f32", "i64", "bool", …
    dtype: str
    shape: Tuple[int, ...]
    bytes: int
    #: The model has maps here: the key of each position of the last axis.
    keys: Optional[Tuple[Union[str, int], ...]] = None
    #: Axes whose extent depends on data: shape and bytes are bounds there.
    bounded: Tuple[int, ...] = ()
    #: Inputs: the least extent along each of these axes; any up to the shape's may be given.
    least: Optional[Tuple[int, ...]] = None

    @property
    def numpy_dtype(self) -> np.dtype:
        """How numpy stores it; bf16 as the bits in a uint16."""
        return _DTYPES[self.dtype][1]

    def __str__(self) -> str:
        sizes = [f"{extent}" for extent in self.shape]
        for i, axis in enumerate(self.bounded):
            sizes[axis] = f"{self.least[i]}..{sizes[axis]}" if self.least else f"≤{sizes[axis]}"
        return f"{self.dtype} [{', '.join(sizes)}]"


# ---- The manifest ----


class _FileEntry(NamedTuple):
    path: str
    bytes: int
    sha256: str
    chunks: Optional[List[str]]


class _LibraryEntry(NamedTuple):
    target: str
    file: str
    weights: Optional[str]


class _Manifest(NamedTuple):
    name: str
    inputs: Tuple[TensorSpec, ...]
    outputs: Tuple[TensorSpec, ...]
    libraries: Tuple[_LibraryEntry, ...]
    files: Dict[str, _FileEntry]


def _broken(path: str, problem: str):
    raise HoneError(
        "HONE-ARTIFACT-003",
        f"{path} {problem}",
        path,
        "the artifact is damaged or of another version: compile it again",
    )


def _member(value, key: str, kind: type, path: str):
    if not isinstance(value, dict) or key not in value:
        _broken(path, f'lacks "{key}"')
    found = value[key]
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        _broken(path, f'has a wrong "{key}"')
    if kind is int and not 0 <= found < 1 << 53:
        _broken(path, f'has a "{key}" that is no count')
    return found


_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def _plain_path(value, key: str, path: str) -> str:
    """A relative path of ordinary names, which can lead nowhere else."""
    found = _member(value, key, str, path)
    segments = found.split("/")
    plain = len(found) <= 200 and len(segments) <= 4
    plain = plain and all(_SEGMENT.fullmatch(s) and ".." not in s for s in segments)
    if not plain:
        _broken(path, f"has no plain path: {json.dumps(found)}")
    return found


def _digest(value, key: str, path: str) -> str:
    found = _member(value, key, str, path)
    if not re.fullmatch(r"[0-9a-f]{64}", found):
        _broken(path, f'has no SHA-256 digest "{key}"')
    return found


def _tensor_spec(value, path: str) -> TensorSpec:
    dtype = _member(value, "dtype", str, path)
    if dtype not in _DTYPES:
        _broken(path, f'has the unknown dtype "{dtype}"')
    shape = _member(value, "shape", list, path)
    if len(shape) > _MAX_RANK or not all(type(extent) is int and extent >= 0 for extent in shape):
        _broken(path, "has a wrong shape")
    keys = _member(value, "keys", list, path) if "keys" in value else None
    if keys is not None and not (
        all(type(key) is str for key in keys) or all(type(key) is int for key in keys)
    ):
        _broken(path, "has keys that are neither texts nor whole numbers")
    bounded = _member(value, "bounded", list, path) if "bounded" in value else []
    if not all(type(axis) is int and 0 <= axis < len(shape) for axis in bounded):
        _broken(path, "bounds axes that a shape does not have")
    least = _member(value, "least", list, path) if "least" in value else None
    if least is not None and not (
        len(least) == len(bounded)
        and all(type(n) is int and 0 <= n <= shape[axis] for n, axis in zip(least, bounded))
    ):
        _broken(path, "has ranges that are none")
    spec = TensorSpec(
        _member(value, "name", str, path),
        dtype,
        tuple(shape),
        _member(value, "bytes", int, path),
        None if keys is None else tuple(keys),
        tuple(bounded),
        None if least is None else tuple(least),
    )
    count = 1
    for extent in shape:
        count *= extent
    if spec.bytes != count * spec.numpy_dtype.itemsize:
        _broken(path, f'gives "{spec.name}" {spec.bytes} bytes, which its shape does not need')
    return spec


def _library_entry(value, path: str) -> _LibraryEntry:
    weights = _plain_path(value, "weights", path) if "weights" in value else None
    return _LibraryEntry(
        _member(value, "target", str, path), _plain_path(value, "file", path), weights
    )


def _file_entry(value, path: str) -> _FileEntry:
    entry = _FileEntry(
        _plain_path(value, "path", path),
        _member(value, "bytes", int, path),
        _digest(value, "sha256", path),
        _member(value, "chunks", list, path) if "chunks" in value else None,
    )
    if entry.chunks is not None:
        if len(entry.chunks) != -(-entry.bytes // _CHUNK_BYTES):
            _broken(path, f"has {len(entry.chunks)} chunks for {entry.bytes} bytes of {entry.path}")
        if not all(isinstance(chunk, str) for chunk in entry.chunks):
            _broken(path, f"has chunks of {entry.path} that are no digests")
        if _sha256("".join(entry.chunks).encode()) != entry.sha256:
            _broken(path, f"has other chunks of {entry.path} than stated")
    return entry


def _parse_manifest(text: str, path: str) -> _Manifest:
    try:
        root = json.loads(text, parse_constant=lambda word: _broken(path, f"has {word}"))
    except (ValueError, RecursionError):
        _broken(path, "is no JSON")
    if _member(root, "format", str, path) != FORMAT:
        _broken(path, "is not the manifest of an artifact")
    version = _member(root, "version", int, path)
    if version != FORMAT_VERSION:
        _broken(path, f"has format version {version}, this runtime reads {FORMAT_VERSION}")
    if _digest(root, "digest", path) != _body_digest(text, path):
        _broken(path, "does not have the digest it states")
    if "host" in root:
        raise HoneError(
            "HONE-RUN-006",
            f"{path}: this model has steps on texts, which only the Node runtime runs",
            path,
            "run it with hone-runtime in Node, or cut the model so that no texts are left",
        )
    manifest = _Manifest(
        _member(root, "name", str, path),
        tuple(_tensor_spec(value, path) for value in _member(root, "inputs", list, path)),
        tuple(_tensor_spec(value, path) for value in _member(root, "outputs", list, path)),
        tuple(_library_entry(value, path) for value in _member(root, "libraries", list, path)),
        {},
    )
    for value in _member(root, "files", list, path):
        entry = _file_entry(value, path)
        if entry.path in manifest.files:
            _broken(path, "lists a file twice")
        if entry.path in (_MANIFEST, _SIGNATURE) or entry.path.startswith("evidence/"):
            _broken(path, f"may not list {entry.path}")
        manifest.files[entry.path] = entry
    for entry in manifest.libraries:
        for file in (entry.file, entry.weights):
            if file is not None and file not in manifest.files:
                _broken(path, f"does not list {file}, which a library needs")
    return manifest


def _body_digest(text: str, path: str) -> str:
    """Digest of the manifest without its digest and without the white space between its tokens."""
    compact = re.sub(r'("(?:[^"\\]|\\.)*")|\s+', lambda match: match.group(1) or "", text)
    body, found = re.subn(r',"digest":"[0-9a-f]{64}"\}\Z', "}", compact)
    if not found:
        _broken(path, "does not end with its digest")
    return _sha256(body.encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- Files of an artifact ----


def _recover_swap(directory: str) -> None:
    """A writer may have died between its two renames: the old artifact is then put back.

    One that lives takes milliseconds for both, so it is waited for.
    """
    place = os.path.abspath(directory)
    folder = os.path.dirname(place)
    prefix = f".{os.path.basename(place)}.hone-old"
    for attempt in range(100):
        if os.path.lexists(place):
            return
        try:
            old = sorted(name for name in os.listdir(folder) if name.startswith(prefix))
            if not old:
                return
            if attempt == 99:
                os.rename(os.path.join(folder, old[0]), place)
        except OSError:
            return  # The check that follows says that the artifact is not there.
        time.sleep(0.002)


def _identity(directory: str) -> Optional[Tuple[int, int]]:
    """Which directory it is: another one in its place is another artifact."""
    try:
        info = os.stat(directory)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _read_small(directory: str, name: str, limit: int) -> Optional[bytes]:
    """An ordinary file up to a size; None when there is none of that name."""
    info = _lstat(directory, name)
    if info is None:
        return None
    if not stat.S_ISREG(info.st_mode):
        _refuse_kind(directory, name)
    path = os.path.join(directory, name)
    if info.st_size > limit:
        _broken(path, "is too large for what it is")
    with _open_file(path) as file:
        return file.read(limit)


def _open_file(path: str):
    try:
        return open(path, "rb")
    except OSError as error:
        raise HoneError(
            "HONE-IO-001", f"cannot open {path}: {error.strerror}", path, "check its permissions"
        ) from None


def _refuse_packed(path: str) -> None:
    if not os.path.isfile(path):
        return
    with _open_file(path) as file:
        if file.read(2) != b"\x1f\x8b":
            return
    raise HoneError(
        "HONE-ARTIFACT-030",
        f"{path} is packed; artifacts are used as folders",
        path,
        f"unpack it first: hone unpack {path}",
    )


def _open_artifact(directory: str, keys: Optional[Sequence["_PublicKey"]]) -> _Manifest:
    """Checks signature and manifest, and kind and size of every file; reads no large file."""
    _recover_swap(directory)
    _refuse_packed(directory)
    path = os.path.join(directory, _MANIFEST)
    content = _read_small(directory, _MANIFEST, _MAX_MANIFEST_BYTES)
    if content is None:
        raise HoneError(
            "HONE-ARTIFACT-010",
            f"there is no artifact at {directory}: no {_MANIFEST}",
            directory,
            "give the directory that `hone compile` wrote",
        )
    signature = _read_small(directory, _SIGNATURE, _MAX_SIGNATURE_BYTES)
    if keys is not None:
        # Before anything of the manifest is believed, or even parsed.
        _check_signature(content, signature, keys, directory)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        _broken(path, "is no UTF-8 text")
    manifest = _parse_manifest(text, path)
    folders = set()
    for entry in manifest.files.values():
        parts = entry.path.split("/")
        for depth in range(1, len(parts)):
            folders.add("/".join(parts[:depth]))
    for folder in sorted(folders):
        info = _lstat(directory, folder)
        if info is not None and not stat.S_ISDIR(info.st_mode):
            _refuse_kind(directory, folder)
    for entry in manifest.files.values():
        info = _lstat(directory, entry.path)
        if info is None:
            missing = os.path.join(directory, entry.path)
            raise HoneError("HONE-ARTIFACT-011", f"{missing} is missing", entry.path, _AGAIN)
        if not stat.S_ISREG(info.st_mode):
            _refuse_kind(directory, entry.path)
        if info.st_size != entry.bytes:
            raise HoneError(
                "HONE-ARTIFACT-012",
                f"{os.path.join(directory, entry.path)} has {info.st_size} bytes, "
                f"the manifest says {entry.bytes}",
                entry.path,
                _AGAIN,
            )
    return manifest


def _lstat(directory: str, inside: str) -> Optional[os.stat_result]:
    try:
        return os.lstat(os.path.join(directory, inside))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _refuse_kind(directory: str, inside: str):
    raise HoneError(
        "HONE-ARTIFACT-013",
        f"{os.path.join(directory, inside)} is a link or no ordinary file, "
        "which artifacts may not contain",
        inside,
        "do not use this artifact unless you trust where it comes from; compile it again",
    )


def _read_verified(directory: str, entry: _FileEntry) -> bytes:
    with _open_file(os.path.join(directory, entry.path)) as file:
        data = file.read()
    if len(data) != entry.bytes or _sha256(data) != entry.sha256:
        _wrong_digest(directory, entry.path)
    return data


def _verify_open(directory: str, entry: _FileEntry, file) -> None:
    """The same for a file that is open already, piece by piece where it has pieces."""
    if entry.chunks is None:
        if _sha256(file.read()) != entry.sha256:
            _wrong_digest(directory, entry.path)
        return
    for index, expected in enumerate(entry.chunks):
        if _sha256(file.read(_CHUNK_BYTES)) != expected:
            _wrong_digest(directory, entry.path, index * _CHUNK_BYTES)


def _verify_all(directory: str, manifest: _Manifest) -> None:
    """Compares every file, weights included, with its digests."""
    for entry in manifest.files.values():
        with _open_file(os.path.join(directory, entry.path)) as file:
            _verify_open(directory, entry, file)


def _wrong_digest(directory: str, file: str, offset: Optional[int] = None):
    where = "" if offset is None else f" in the megabyte at byte {offset}"
    raise HoneError(
        "HONE-ARTIFACT-014",
        f"{os.path.join(directory, file)} was changed{where}: its digest is not the manifest's",
        file,
        _AGAIN,
    )


# ---- Signatures (Ed25519, RFC 8032) ----

_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")


class _PublicKey(NamedTuple):
    #: SHA-256 of the key in DER form.
    id: str
    point: bytes


def _read_public_key(file_or_text: str) -> _PublicKey:
    """A public key from a PEM file, or from the text of one."""
    name, pem = "the public key", file_or_text
    if "-----BEGIN" not in pem:
        name = pem
        try:
            with open(name, encoding="ascii", errors="replace") as file:
                pem = file.read(1 << 16)
        except OSError as error:
            _unusable(name, f"cannot be read: {error.strerror}", "check the path of the key")
    if "PRIVATE KEY-----" in pem:
        _unusable(
            name,
            "is a private key, which only its owner should have",
            "give the public key, KEY.pub; `openssl pkey -in KEY -pubout` makes it",
        )
    match = re.search(r"-----BEGIN PUBLIC KEY-----([\sA-Za-z0-9+/=]*)-----END PUBLIC KEY-----", pem)
    cure = "`hone keygen -o KEY` makes a pair; so does `openssl genpkey -algorithm ed25519`"
    try:
        der = base64.b64decode("".join(match.group(1).split()), validate=True) if match else b""
    except binascii.Error:
        der = b""
    if not der:
        _unusable(name, "is no public key in PEM form", cure)
    if len(der) != len(_DER_PREFIX) + 32 or not der.startswith(_DER_PREFIX):
        _unusable(name, "is not a key for Ed25519", cure)
    return _PublicKey(_sha256(der), der[len(_DER_PREFIX) :])


def _unusable(name: str, problem: str, cure: str):
    raise HoneError("HONE-ARTIFACT-023", f"{name} {problem}", name, cure)


def _check_signature(
    manifest: bytes, content: Optional[bytes], keys: Sequence[_PublicKey], name: str
) -> None:
    """Passes when one of the keys signed these bytes."""
    if content is None:
        raise HoneError(
            "HONE-ARTIFACT-020",
            f"{name} is not signed, and a key was given",
            name,
            "get the signed one from who made it, or sign your own (`hone compile --sign KEY`)",
        )
    path = os.path.join(name, _SIGNATURE)
    try:
        root = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        _broken(path, "is no JSON")
    if _member(root, "format", str, path) != "hone-signature":
        _broken(path, "is not the signature of an artifact")
    kind = (_member(root, "version", int, path), _member(root, "algorithm", str, path))
    if kind != (1, "ed25519"):
        _broken(path, f"has version {kind[0]} for {kind[1]}, this runtime reads 1 for ed25519")
    encoded = _member(root, "signature", str, path)
    try:
        signature = base64.b64decode(encoded, validate=True)
    except ValueError:
        signature = b""
    if len(signature) != 64 or base64.b64encode(signature).decode() != encoded:
        _broken(path, "has no signature of 64 bytes")
    signer = _digest(root, "key", path)
    key = next((key for key in keys if key.id == signer), None)
    if key is None:
        trusted = " or ".join(key.id[:16] for key in keys) or "trusted"
        raise HoneError(
            "HONE-ARTIFACT-021",
            f"{name} is signed with key {signer[:16]}, which is not {trusted}",
            name,
            "give the public key of who made the artifact, or do not use it",
        )
    if not _ed25519_verify(key.point, manifest, signature):
        raise HoneError(
            "HONE-ARTIFACT-022",
            f"{name} was changed after it was signed: the signature is not for this manifest",
            name,
            "do not use it; get the artifact again from who made it",
        )


_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)


def _point_from_bytes(encoded: bytes):
    """A point of the curve as (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z. None for other bytes."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _point_add(one, two):
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * _D * t1 * t2 % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _point_multiply(factor: int, point):
    result = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = _point_add(result, point)
        point = _point_add(point, point)
        factor >>= 1
    return result


def _ed25519_verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether S·B - k·A is R. Nothing here is secret, so its time may depend on the data."""
    base = _point_from_bytes((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
    public = _point_from_bytes(key)
    scalar = int.from_bytes(signature[32:], "little")
    if public is None or scalar >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    factor = int.from_bytes(digest, "little") % _ORDER
    x, y, z, t = public
    minus = (-x % _P, y, z, -t % _P)
    found = _point_add(_point_multiply(scalar, base), _point_multiply(factor, minus))
    inverse = pow(found[2], _P - 2, _P)
    x, y = found[0] * inverse % _P, found[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# ---- Choosing a library ----

_TARGET = re.compile(
    r"(x86-64(?:-v[1-4])?|arm64|aarch64|wasm32)((?:\+[a-z0-9]+)*)"
    r"(?:-(linux|macos|windows)(?:-(gnu|musl))?)?"
)
_CPU_ALIASES = {"x86-64-v1": "x86-64", "aarch64": "arm64"}


class _Target(NamedTuple):
    cpu: str
    features: frozenset
    os: str
    abi: str

    @property
    def arch(self) -> str:
        return "x86-64" if self.cpu.startswith("x86-64") else self.cpu

    @property
    def rank(self) -> int:
        """Higher uses more of a processor."""
        level = int(self.cpu[-1]) if "-v" in self.cpu else int(self.arch == "x86-64")
        return level * 100 + len(self.features)


def _parse_target(name: str) -> _Target:
    match = _TARGET.fullmatch(name)
    if match is None:
        raise HoneError(
            "HONE-TARGET-001", f'unknown target "{name}"', name, "`hone targets` lists the names"
        )
    cpu, features, system, abi = match.groups()
    cpu = _CPU_ALIASES.get(cpu, cpu)
    if cpu == "wasm32":
        system, abi = "none", "none"
    elif system in (None, "linux"):
        system, abi = "linux", abi or "gnu"
    elif system == "macos":
        abi = "none"
    else:
        abi = "gnu"
    return _Target(cpu, frozenset(features.split("+")[1:]), system, abi)


def _system() -> Tuple[str, str, str]:
    """Architecture, operating system and C library of this process."""
    machine = platform.machine().lower()
    arch = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64"}.get(machine, machine)
    if sys.platform == "darwin":
        return arch, "macos", "none"
    if sys.platform == "win32":
        return arch, "windows", "gnu"
    try:
        glibc = bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, OSError, ValueError):
        glibc = False
    return arch, "linux", "gnu" if glibc else "musl"


def _candidates(manifest: _Manifest, wanted: Optional[str]) -> List[_LibraryEntry]:
    """The libraries this system could load, best first. Which one the processor runs they know."""
    names = ", ".join(entry.target for entry in manifest.libraries) or "none"
    if wanted is not None:
        target = _parse_target(wanted)
        exact = [entry for entry in manifest.libraries if _parse_target(entry.target) == target]
        if exact:
            return exact[:1]
        raise HoneError(
            "HONE-RUN-009",
            f"the artifact has no library for {wanted}; it has: {names}",
            wanted,
            f"compile the model with --target {wanted}",
        )
    system = _system()
    usable = []
    for entry in manifest.libraries:
        target = _parse_target(entry.target)
        if (target.arch, target.os, target.abi) == system:
            usable.append((target.rank, entry))
    if not usable:
        machine = "-".join(system)
        raise HoneError(
            "HONE-RUN-003",
            f"no library of the artifact runs on this machine ({machine}); it has: {names}",
            machine,
            "compile the model for this processor (--target native)",
        )
    return [entry for _, entry in sorted(usable, key=lambda pair: -pair[0])]


# ---- The C interface (include/model.h) ----


class _CTensor(ctypes.Structure):
    _fields_ = [
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.c_int64 * _MAX_RANK),
        ("data", ctypes.c_void_p),
        ("bytes", ctypes.c_uint64),
        ("capacity", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class _COptions(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("group", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]


_POISON = 1

_CURES = {
    "HONE-INPUT-020": "give shapes that agree",
    "HONE-RUN-002": _AGAIN,
    "HONE-RUN-003": "compile the model for this processor (--target native)",
    "HONE-RUN-004": "free some memory, or compile with a smaller --batch or --shape",
    "HONE-RUN-005": "ask for fewer threads, or raise the limit of processes",
    "HONE-RUN-010": "check the values of the inputs",
    "HONE-RUN-014": "check the values that the condition of the loop depends on",
}


def _options(threads: Optional[int], group: int, poison: bool) -> _COptions:
    count = 0 if threads is None else threads
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MAX_THREADS:
        raise HoneError(
            "HONE-RUN-008",
            f"{threads!r} is no number of threads",
            "threads",
            f"give 1 to {_MAX_THREADS}, or nothing for the physical cores",
        )
    size = ctypes.sizeof(_COptions)
    return _COptions(size, count, group, _POISON if poison else 0)


class _Library:
    """A loaded library. It is unloaded with the last context that uses it."""

    def __init__(self, data: bytes, name: str):
        self.name = name
        self._users = 0
        self._lock = threading.Lock()
        path, self._release = _place(data, name)
        try:
            self._library = ctypes.CDLL(path)
            self._bind()
        except (OSError, AttributeError) as error:
            self._release()
            raise HoneError(
                "HONE-RUN-001",
                f"the system cannot load {name}: {str(error).replace(path, name)}",
                name,
                "compile the model for this system (`hone doctor` names its target)",
            ) from None
        version = self._library.hone_abi_version()
        if version != ABI_VERSION:
            self.unload()
            raise HoneError(
                "HONE-RUN-007",
                f"{name} has ABI version {version}, this runtime needs {ABI_VERSION}",
                name,
                "compile the model with the version of hone that belongs to this hone_runtime",
            )

    def _bind(self) -> None:
        context = ctypes.c_void_p
        options = ctypes.POINTER(_COptions)
        tensors = ctypes.POINTER(_CTensor)
        out = ctypes.POINTER(ctypes.c_void_p)
        count = ctypes.c_uint32
        signatures = {
            "hone_abi_version": (count, []),
            "hone_open": (ctypes.c_int, [ctypes.c_char_p, options, out]),
            "hone_context_create": (ctypes.c_int, [context, options, out]),
            "hone_context_destroy": (None, [context]),
            "hone_run": (ctypes.c_int, [context, tensors, count, tensors, count]),
            "hone_describe": (ctypes.c_char_p, []),
            "hone_last_error": (ctypes.c_char_p, [context]),
            "hone_thread_count": (count, [context]),
        }
        for name, (result, arguments) in signatures.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name[len("hone_") :], function)

    def check(self, status: int, context: Optional[int]) -> None:
        if status == 0:
            return
        text = self.last_error(context).decode("utf-8", "replace")
        match = re.match(r"(HONE-[A-Z]+-\d+): (.*)\Z", text, re.DOTALL)
        code, message = match.groups() if match else ("HONE-INTERNAL-002", text)
        raise HoneError(code, message, self.name, _CURES.get(code, ""))

    def create(self, function, source, options: _COptions) -> int:
        """Calls hone_open or hone_context_create and counts the new context as a user."""
        pointer = ctypes.c_void_p()
        with self._lock:
            status = function(source, ctypes.byref(options), ctypes.byref(pointer))
            self.check(status, source if isinstance(source, int) else None)
            self._users += 1
        return pointer.value

    def destroy(self, context: int) -> None:
        with self._lock:
            self.context_destroy(context)
            self._users -= 1
            last = self._users == 0
        if last:
            self.unload()

    def unload(self) -> None:
        unload = getattr(_ctypes, "dlclose", None) or getattr(_ctypes, "FreeLibrary", None)
        if unload is not None:
            unload(self._library._handle)
        self._release()


def _place(data: bytes, name: str):
    """Bytes as a file that only this process can reach: its path, and how to let go of it."""
    if hasattr(os, "memfd_create"):
        try:
            descriptor = os.memfd_create("hone", os.MFD_CLOEXEC)
        except OSError:
            descriptor = -1
        if descriptor >= 0:
            done = 0
            while done < len(data):
                done += os.write(descriptor, memoryview(data)[done:])
            # The loader knows libraries by this path: the number stays taken until the unload.
            return f"/proc/self/fd/{descriptor}", lambda: os.close(descriptor)
    directory = tempfile.mkdtemp(prefix="hone-")
    path = os.path.join(directory, os.path.basename(name))
    with open(path, "wb") as file:
        file.write(data)
    return path, lambda: shutil.rmtree(directory, ignore_errors=True)


# ---- Tensors ----


def _check_names(role: str, specs, given: Mapping[str, np.ndarray]) -> None:
    names = ", ".join(spec.name for spec in specs) or "none"
    for name in given:
        if not any(spec.name == name for spec in specs):
            raise HoneError(
                "HONE-INPUT-002", f'the model has no {role} "{name}"', str(name), f"it has: {names}"
            )
    for spec in specs:
        if role == "input" and spec.name not in given:
            raise HoneError(
                "HONE-INPUT-001",
                f'input "{spec.name}" ({spec}) is missing',
                spec.name,
                f"give all inputs: {names}",
            )


def _at_shape(spec: TensorSpec, array: np.ndarray) -> TensorSpec:
    """The spec of an input whose size varies, for the size of an array; refuses one outside its range."""
    if spec.least is None or array.ndim != len(spec.shape):
        return spec
    shape = list(spec.shape)
    for axis, least in zip(spec.bounded, spec.least):
        extent, most = array.shape[axis], spec.shape[axis]
        if not least <= extent <= most:
            raise HoneError(
                "HONE-INPUT-005",
                f'input "{spec.name}" has {extent} elements along axis {axis}, '
                f"the model takes {least} to {most}: {spec}",
                spec.name,
                f"give {least} to {most} there, or compile the model for another range with --shape",
            )
        shape[axis] = extent
    count = 1
    for extent in shape:
        count *= extent
    return TensorSpec(spec.name, spec.dtype, tuple(shape), count * spec.numpy_dtype.itemsize)


def _check_array(role: str, spec: TensorSpec, array: np.ndarray) -> None:
    expected = f"the model's is {spec}"
    if array.dtype != spec.numpy_dtype:
        raise HoneError(
            "HONE-INPUT-003",
            f'{role} "{spec.name}" has dtype {array.dtype}, {expected}',
            spec.name,
            f"convert it to {spec.numpy_dtype}",
        )
    if array.ndim != len(spec.shape):
        raise HoneError(
            "HONE-INPUT-004",
            f'{role} "{spec.name}" has {array.ndim} axes, {expected}',
            spec.name,
            f"give the shape {list(spec.shape)}",
        )
    if array.shape != spec.shape:
        raise HoneError(
            "HONE-INPUT-005",
            f'{role} "{spec.name}" has shape {list(array.shape)}, {expected}',
            spec.name,
            "give that shape, or compile the model for this one with --shape",
        )


def _bind_input(spec: TensorSpec, value) -> np.ndarray:
    """The value, or a copy where its elements do not lie one after the other."""
    array = np.asarray(value)
    if spec.dtype == "bf16" and array.dtype.name == "bfloat16":
        array = array.view(np.uint16)
    _check_array("input", _at_shape(spec, array), array)
    plain = array.flags.c_contiguous and array.flags.aligned
    return array if plain else array.copy(order="C")


def _bind_output(spec: TensorSpec, value: Optional[np.ndarray]) -> np.ndarray:
    if value is None:
        return np.empty(spec.shape, spec.numpy_dtype)
    if not isinstance(value, np.ndarray):
        raise HoneError(
            "HONE-INPUT-007",
            f'output "{spec.name}" is to be written to something that is no numpy array',
            spec.name,
            "give a numpy array",
        )
    _check_array("output", spec, value)
    flags = value.flags
    if not (flags.c_contiguous and flags.aligned and flags.writeable):
        raise HoneError(
            "HONE-INPUT-007",
            f'output "{spec.name}" is to be written to a read-only or scattered array',
            spec.name,
            "give a writeable array whose elements lie one after the other",
        )
    return value


def _check_apart(specs, arrays) -> None:
    """Two outputs in the same memory would overwrite each other."""
    for i, array in enumerate(arrays):
        for other in arrays[:i]:
            if array.size and other.size and np.may_share_memory(array, other):
                name = specs[i].name
                raise HoneError(
                    "HONE-INPUT-008",
                    f'output "{name}" lies in the memory of another output',
                    name,
                    "give each output its own array",
                )


def _c_tensors(specs, arrays):
    tensors = (_CTensor * max(1, len(arrays)))()
    for tensor, spec, array in zip(tensors, specs, arrays):
        tensor.dtype = _DTYPES[spec.dtype][0]
        tensor.rank = array.ndim
        for axis, extent in enumerate(array.shape):
            tensor.shape[axis] = extent
        tensor.data = array.ctypes.data
        tensor.bytes = tensor.capacity = array.nbytes
    return tensors


def _actual(spec: TensorSpec, array: np.ndarray, tensor: _CTensor) -> np.ndarray:
    """The output at the size that the run gave it."""
    if not spec.bounded:
        return array
    shape = tuple(tensor.shape[axis] for axis in range(len(spec.shape)))
    count = 1
    for extent in shape:
        count *= extent
    return array.reshape(-1)[:count].reshape(shape)


# ---- Contexts ----


class Context:
    """Runs a model, one request at a time. Use it in a `with` statement, or call close()."""

    def __init__(self, library: _Library, pointer: int, manifest: _Manifest):
        self._library = library
        self._pointer: Optional[int] = pointer
        self._manifest = manifest
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._manifest.name

    @property
    def inputs(self) -> Tuple[TensorSpec, ...]:
        return self._manifest.inputs

    @property
    def outputs(self) -> Tuple[TensorSpec, ...]:
        return self._manifest.outputs

    @property
    def threads(self) -> int:
        """Workers, the calling thread included."""
        with self._lock:
            return self._library.thread_count(self._open_pointer())

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Optional[Mapping[str, np.ndarray]] = None,
    ) -> Dict[str, np.ndarray]:
        """Runs the model. `outputs` are arrays to write to; the others are allocated.

        An output whose size depends on data is a view of the begin of an array for its bound.
        """
        given = outputs or {}
        _check_names("input", self.inputs, inputs)
        _check_names("output", self.outputs, given)
        ins = [_bind_input(spec, inputs[spec.name]) for spec in self.inputs]
        outs = [_bind_output(spec, given.get(spec.name)) for spec in self.outputs]
        _check_apart(self.outputs, outs)
        c_ins, c_outs = _c_tensors(self.inputs, ins), _c_tensors(self.outputs, outs)
        with self._lock:
            pointer = self._open_pointer()
            status = self._library.run(pointer, c_ins, len(ins), c_outs, len(outs))
            self._library.check(status, pointer)
        return {
            spec.name: _actual(spec, array, tensor)
            for spec, array, tensor in zip(self.outputs, outs, c_outs)
        }

    def close(self) -> None:
        """Frees the context once a run in progress is over; a second call does nothing."""
        with self._lock:
            pointer, self._pointer = self._pointer, None
            if pointer is not None:
                self._library.destroy(pointer)

    def _open_pointer(self) -> int:
        if self._pointer is None:
            raise HoneError(
                "HONE-RUN-011",
                f"the model {self.name} was closed",
                self.name,
                "load it again, or close it later",
            )
        return self._pointer

    def __enter__(self):
        return self

    def __exit__(self, *_exception) -> None:
        self.close()


class Model(Context):
    """A loaded artifact: its first context, and the maker of others."""

    def __init__(self, library: _Library, pointer: int, manifest: _Manifest, target: str):
        super().__init__(library, pointer, manifest)
        #: Name of the target of the library in use.
        self.target = target

    def create_context(
        self, threads: Optional[int] = None, group: int = 0, poison: bool = False
    ) -> Context:
        """Another context for the same weights, with its own workers and working memory."""
        options = _options(threads, group, poison)
        with self._lock:
            source = self._open_pointer()
            pointer = self._library.create(self._library.context_create, source, options)
        return Context(self._library, pointer, self._manifest)

    def describe(self) -> dict:
        """What the library says of itself: signature, steps, sizes."""
        with self._lock:
            self._open_pointer()
            return json.loads(self._library.describe())


class _Weights:
    """The weights as a path to map; where they have to be verified, path and file are the same."""

    def __init__(self, directory: str, manifest: _Manifest, entry: _LibraryEntry, verify: bool):
        self._file = None
        self.path = directory
        if entry.weights is None:
            return
        self.path = os.path.join(directory, entry.weights)
        if not verify:
            return
        self._file = _open_file(self.path)
        try:
            _verify_open(directory, manifest.files[entry.weights], self._file)
        except HoneError:
            self.close()
            raise
        descriptor = f"/proc/self/fd/{self._file.fileno()}"
        if os.path.exists(descriptor):
            self.path = descriptor

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


_Path = Union[str, "os.PathLike[str]"]


def load(
    path: _Path,
    threads: Optional[int] = None,
    *,
    target: Optional[str] = None,
    verify: str = "default",
    key: Union[None, _Path, Sequence[_Path]] = None,
    group: int = 0,
    poison: bool = False,
) -> Model:
    """Opens the artifact at a directory.

    threads: workers, the calling thread included; default: the physical cores this process may use
    target:  the library to use, by its target's name; default: the best one this machine runs
    verify:  "full" reads every file, weights included, and compares digests first
    key:     a public key, or several, each the path of a PEM file or its text; the artifact has to
             be signed with one of them, and its weights are verified before they are used
    group:   contexts with the same number (> 0) share workers
    poison:  fills the working memory with 0xFF before each run, to find reads of unset data
    """
    directory = os.fspath(path)
    options = _options(threads, group, poison)
    keys = None
    if key is not None:
        several = [key] if isinstance(key, (str, os.PathLike)) else key
        keys = [_read_public_key(os.fspath(item)) for item in several]
    # An artifact that is replaced while it is read is read again: no two of them are mixed.
    for _ in range(50):
        before = _identity(directory)
        try:
            model = _load(directory, options, target, verify == "full", keys)
        except HoneError:
            if _identity(directory) == before:
                raise
            continue
        if _identity(directory) == before:
            return model
        model.close()
    raise HoneError(
        "HONE-ARTIFACT-016",
        f"{directory} was replaced while it was read",
        directory,
        "try again when nothing writes to it",
    )


def _load(
    directory: str,
    options: _COptions,
    target: Optional[str],
    verify_all: bool,
    keys: Optional[Sequence[_PublicKey]],
) -> Model:
    manifest = _open_artifact(directory, keys)
    if verify_all:
        _verify_all(directory, manifest)
    refused = None
    for entry in _candidates(manifest, target):
        data = _read_verified(directory, manifest.files[entry.file])
        weights = _Weights(directory, manifest, entry, keys is not None)
        try:
            library = _Library(data, os.path.join(directory, entry.file))
            try:
                pointer = library.create(library.open, os.fsencode(weights.path), options)
            except HoneError as error:
                library.unload()
                if error.code != "HONE-RUN-003":
                    raise
                refused = error  # The processor lacks what this one needs: a lesser one may do.
                continue
        finally:
            weights.close()
        return Model(library, pointer, manifest, entry.target)
    raise refused

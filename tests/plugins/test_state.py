"""Files of what a plugin learned: they come back as they were, and hostile ones are refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xtec.core.errors import InputError
from xtec.plugins import State, load_state, pack_state
from xtec.plugins.state import load_state_bytes

ARRAYS = st.dictionaries(
    st.text("abc./", min_size=1, max_size=8).filter(
        lambda name: not name.startswith("/") and ".." not in name
    ),
    hnp.arrays(st.sampled_from([np.float32, np.float64, np.int64, np.bool_]), hnp.array_shapes(max_side=4)),
    max_size=4,
)


@settings(max_examples=50)
@given(arrays=ARRAYS, facts=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)))
def test_it_comes_back_as_it_was(arrays: dict[str, np.ndarray], facts: dict[str, object]) -> None:
    state = State(arrays, facts)
    back = load_state_bytes("flow", pack_state("flow", state))
    assert back.facts == facts
    assert set(back.arrays) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
        assert back.arrays[name].dtype == array.dtype
    assert back.digest == state.digest


def test_the_digest_tells_states_apart() -> None:
    a = State({"w": np.arange(3.0)}, {"n": 1})
    others = [
        State({"w": np.arange(3.0) + 1e-12}, {"n": 1}),
        State({"w": np.arange(3.0)}, {"n": 2}),
        State({"v": np.arange(3.0)}, {"n": 1}),
        State({"w": np.arange(3.0, dtype=np.float32)}, {"n": 1}),
        State({"w": np.arange(3.0)[:, None]}, {"n": 1}),
    ]
    assert len({one.digest for one in (a, *others)}) == 6


def test_the_state_of_another_plugin_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.npz").write_bytes(pack_state("flow", State({})))
    with pytest.raises(InputError, match="'flow', not of 'mixmate'"):
        load_state("mixmate", tmp_path / "state.npz")


def test_every_truncation_is_refused() -> None:
    packed = pack_state("flow", State({"w": np.arange(50.0)}, {"n": 1}))
    for length in range(len(packed)):
        with pytest.raises(InputError):
            load_state_bytes("flow", packed[:length])


@settings(max_examples=300)
@given(data=st.data())
def test_changed_bytes_are_refused_or_harmless(data: st.DataObject) -> None:
    packed = bytearray(pack_state("flow", State({"w": np.arange(50.0)}, {"n": 1})))
    for _ in range(data.draw(st.integers(1, 5))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = load_state_bytes("flow", bytes(packed))
    except InputError:
        return
    assert all(array.dtype.kind in "biuf" for array in found.arrays.values())


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


def member(array: np.ndarray) -> bytes:
    """As NumPy writes it, objects included."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def archive(**members: bytes) -> bytes:
    """A zip file with a good page of facts, and these."""
    facts = json.dumps({"plugin": "flow", "facts": {}}).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("facts.npy", member(np.frombuffer(facts, np.uint8)))
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def test_nothing_is_ever_run() -> None:
    hidden = np.empty(1, dtype=object)
    hidden[0] = _Bomb()
    for packed in (archive(w=member(hidden)), archive(w=pickle.dumps(_Bomb())), pickle.dumps(_Bomb())):
        with pytest.raises(InputError):
            load_state_bytes("flow", packed)


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    with (
        zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as file,
        file.open("w.npy", "w", force_zip64=True) as out,
    ):
        for _ in range(1100):
            out.write(bytes(2**20))
    assert len(buffer.getvalue()) < 5e6
    with pytest.raises(InputError, match="too large"):
        load_state_bytes("flow", buffer.getvalue())


def test_a_header_that_says_more_than_there_is_is_refused() -> None:
    header = member(np.zeros(3))
    lying = header.replace(b"(3,)", b"(9999999999,)")
    with pytest.raises(InputError):
        load_state_bytes("flow", archive(w=lying))


def test_texts_are_no_numbers() -> None:
    with pytest.raises(InputError):
        load_state_bytes("flow", archive(w=member(np.array(["a"]))))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_state("flow", tmp_path / "gone.npz")

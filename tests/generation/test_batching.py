import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from wheatstone.generation.batching import Batcher, WeightedGate


def test_every_item_gets_its_own_result_and_groups_never_mix():
    calls = []

    def run(items):
        calls.append(list(items))
        time.sleep(0.002)
        return [item * 10 for item in items]

    batcher = Batcher(run, 4)
    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(lambda n: batcher(n, group=n % 2), range(60)))
    assert results == [n * 10 for n in range(60)]
    assert sorted(n for call in calls for n in call) == list(range(60))
    assert all(len(call) <= 4 and len({n % 2 for n in call}) == 1 for call in calls)
    assert max(map(len, calls)) > 1  # with twelve waiting, some calls must have had company


def test_items_without_a_truth_value_can_share_calls():
    # tensors: comparing two of them gives a tensor, so requests must be told apart by identity
    batcher = Batcher(lambda items: [float(item.sum()) for item in items], 4)
    with ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(lambda n: batcher(torch.full((3, 2), float(n))), range(40)))
    assert sums == [6.0 * n for n in range(40)]


def test_size_one_always_runs_alone():
    calls = []
    batcher = Batcher(lambda items: calls.append(len(items)) or list(items), 1)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(batcher, range(20))) == list(range(20))
    assert set(calls) == {1}


def test_one_bad_item_does_not_take_its_company_with_it():
    gathered = threading.Barrier(5)

    def run(items):
        if 3 in items:
            raise ValueError("three")
        return list(items)

    batcher = Batcher(run, 8)

    def ask(n):
        gathered.wait()
        try:
            return batcher(n)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(ask, range(5))) == [0, 1, 2, "three", 4]


def test_the_gate_bounds_the_weight_inside_and_lets_a_giant_go_alone():
    gate, lock = WeightedGate(10), threading.Lock()
    inside, seen = [], []

    def work(weight):
        held = gate.acquire(weight)
        with lock:
            inside.append(held)
            seen.append(sum(inside))
        time.sleep(0.002)
        with lock:
            inside.remove(held)
        gate.release(held)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 100, 2, 9, 1, 5, 100]))
    assert max(seen) <= 10
    assert len(seen) == 8


@pytest.mark.parametrize("size", [1, 3])
def test_errors_reach_the_caller(size):
    def run(items):
        raise KeyError("no")

    with pytest.raises(KeyError):
        Batcher(run, size)(1)

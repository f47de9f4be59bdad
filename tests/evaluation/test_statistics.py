from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import finewave as fw
from finewave.evaluation.statistics import LEAST, mean_and_deviation, paired_test


def test_mean_and_sample_deviation() -> None:
    assert mean_and_deviation([2.0, 4.0, 9.0]) == (5.0, pytest.approx(math.sqrt(13)))
    assert mean_and_deviation([3.0]) == (3.0, None)
    assert mean_and_deviation([math.inf, 1.0]) == (math.inf, None)
    with pytest.raises(fw.InputError):
        mean_and_deviation([])


@pytest.mark.parametrize("n", [2, 5, 6, 12])
def test_all_differences_of_one_sign_give_the_least_p_value(n: int) -> None:
    """2 / 2^n: every one of the 2^n signs is as likely, two of them as extreme."""
    first = [10 + 0.1 * i + 0.01 * i * i for i in range(1, n + 1)]
    test = paired_test(first, [10.0] * n)
    assert test.wilcoxon == pytest.approx(2 / 2**n)
    assert (2 / 2**n < 0.05) == (n >= LEAST)
    assert (test.verdict == "significant") == (n >= LEAST)
    assert ("say nothing" in test.verdict) == (n < LEAST)


def test_the_t_test_by_its_formula() -> None:
    differences = np.array([0.3, -0.1, 0.5, 0.2, 0.4, 0.1, 0.6])
    test = paired_test(list(30 + differences), [30.0] * 7)
    t = differences.mean() / (differences.std(ddof=1) / math.sqrt(7))
    assert test.t == pytest.approx(2 * stats.t.sf(t, 6))
    assert test.difference == pytest.approx(differences.mean())
    assert test.wilcoxon == pytest.approx(stats.wilcoxon(differences).pvalue)


def test_order_of_the_methods_only_turns_the_sign() -> None:
    a, b = [3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.6], [2.0, 7.0, 1.0, 8.0, 2.8, 1.0, 8.5]
    one, other = paired_test(a, b), paired_test(b, a)
    assert one.wilcoxon == pytest.approx(other.wilcoxon)
    assert one.t == pytest.approx(other.t)
    assert one.difference == pytest.approx(-other.difference)
    assert one.verdict == "not significant"


def test_where_there_is_nothing_to_test() -> None:
    assert paired_test([1.0], [2.0]).wilcoxon is None
    same = paired_test([1.0] * 8, [1.0] * 8)
    assert (same.wilcoxon, same.t, same.verdict) == (None, None, "no difference")
    undefined = paired_test([math.nan, math.inf, 1.0, 2.0], [1.0, 1.0, 0.5, 1.0])
    assert undefined.scenes == 2
    constant = paired_test([2.0] * 6, [1.0] * 6)
    assert constant.t == 0.0
    assert constant.wilcoxon == pytest.approx(2 / 2**6)
    with pytest.raises(fw.InputError, match="2 scenes cannot be paired with 1"):
        paired_test([1.0, 2.0], [1.0])

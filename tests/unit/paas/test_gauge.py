import pytest

from sim.kernel.kernel import Kernel
from sim.kernel.series import StepSeries
from sim.paas.gauge import Gauge


def test_the_mean_is_the_exact_integral_since_the_last_look():
    kernel = Kernel()
    gauge = Gauge(StepSeries(kernel), 0.0)
    for moment, change in ((1.0, 2), (3.0, 1), (7.0, -3)):
        kernel.call_at(moment, gauge.change, moment, change)
    kernel.run(4.0)
    assert gauge.mean(4.0) == pytest.approx((2 * 2 + 1 * 3) / 4)
    kernel.run(10.0)
    assert gauge.mean(10.0) == pytest.approx(3 * 3 / 6)
    assert gauge.mean(10.0) == 0.0
    assert gauge.mean(12.0) == 0.0


def test_over_no_time_it_is_the_value():
    gauge = Gauge(StepSeries(Kernel()), 0.0)
    gauge.change(0.0, 5)
    assert gauge.mean(0.0) == 5.0

from sim.paas.policies.engines import Concurrent, DynamicBatch


def test_concurrent_starts_each_call_alone():
    engine = Concurrent(4)
    assert (engine.servers, engine.largest, engine.gathering) == (4, 1, 0.0)
    assert engine.take(7, 3.0, 3.0) == 1


def test_batch_starts_when_full():
    engine = DynamicBatch(max_batch=4, max_delay=0.1, instances=2)
    assert (engine.servers, engine.largest, engine.gathering) == (2, 4, 0.1)
    assert engine.take(3, 0.0, 0.05) == 0
    assert engine.take(4, 0.0, 0.05) == 4
    assert engine.take(9, 0.0, 0.05) == 4


def test_batch_starts_when_its_oldest_has_waited():
    engine = DynamicBatch(max_batch=4, max_delay=0.1)
    assert engine.take(3, 0.7, engine.look_again(0.7)) == 3
    assert engine.take(1, 0.7, 0.75) == 0


def test_the_moment_to_look_again_is_late_enough_despite_rounding():
    # (0.7 + 0.1) - 0.7 is less than 0.1 in binary: an elapsed-time test would wait for ever.
    assert (0.7 + 0.1) - 0.7 < 0.1
    engine = DynamicBatch(max_batch=4, max_delay=0.1)
    assert engine.take(1, 0.7, 0.7 + 0.1) == 1


def test_without_delay_a_free_instance_takes_what_is_there():
    assert DynamicBatch(max_batch=8).take(3, 5.0, 5.0) == 3

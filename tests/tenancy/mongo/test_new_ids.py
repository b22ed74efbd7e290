"""The ids of new documents: ObjectIds that nobody else makes, in order."""

import os
import time
from itertools import pairwise

from tenancy.mongo.new_ids import _Series, new_id


def test_ids_differ_ascend_and_say_when_they_were_made():
    began = int(time.time())

    made = [new_id() for _ in range(5_000)]

    assert len(set(made)) == 5_000
    series = {each.binary[4:9] for each in made}
    assert len(series) == 1
    assert began <= made[0].generation_time.timestamp() <= made[-1].generation_time.timestamp()
    numbers = [int.from_bytes(each.binary[9:], "big") for each in made]
    steps = {(b - a) % 2**24 for a, b in pairwise(numbers)}
    assert steps == {1}


def test_another_series_and_a_forked_process_make_others():
    assert _Series().make().binary[4:9] != _Series().make().binary[4:9]
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, new_id().binary)
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 12)[4:9] != new_id().binary[4:9]
    os.close(reading)
    os.close(writing)

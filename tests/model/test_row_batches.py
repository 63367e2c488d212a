"""Batches of rows: bounded by memory, shortest first, the same ones again."""

from itertools import chain

from sleepcycle.model.kv_cache import SlotCache
from sleepcycle.model.memory_need import cache_bytes
from sleepcycle.model.model_size import size_of
from sleepcycle.model.row_batches import MOST_ROWS_ELSEWHERE, by_memory, row_bytes


class TestByMemory:
    def test_each_place_comes_once_the_shortest_first(self, llama):
        lengths = [(7 * i) % 31 + 1 for i in range(150)]

        batches = list(by_memory(llama, lengths, 8))

        places = list(chain.from_iterable(batches))
        assert sorted(places) == list(range(150))
        assert [lengths[place] for place in places] == sorted(lengths)

    def test_a_batch_has_a_bound_where_memory_is_ample(self, llama):
        batches = list(by_memory(llama, [3] * 150, 8))

        assert [len(one) for one in batches] == [MOST_ROWS_ELSEWHERE] * 2 + [22]

    def test_what_takes_too_much_is_written_in_smaller_batches(self, llama):
        batches = list(by_memory(llama, [2, 2, 2**34], 8))

        assert batches == [[0, 1], [2]]

    def test_nothing_makes_no_batch(self, llama):
        assert list(by_memory(llama, [], 8)) == []


class TestRowBytes:
    def test_keys_and_values_are_what_a_cache_holds(self, base):
        config = base.model.config.get_text_config()
        cache = SlotCache(config.num_hidden_layers, 1)
        base.model(input_ids=base.model.dummy_inputs["input_ids"][:1, :1],
                   past_key_values=cache, use_cache=True)  # fmt: skip

        held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        size = size_of({}, vars(config))
        assert held == cache_bytes(size, base.model.dtype.itemsize)

    def test_a_longer_answer_takes_more(self, llama):
        assert row_bytes(llama, 10, 40) > row_bytes(llama, 10, 20)

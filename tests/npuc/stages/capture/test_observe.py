import pytest

from npuc.stages.capture.observe import draw_requests
from program.program import Request


@pytest.mark.parametrize("kinds", [2, 3, 4, 6, 8])
def test_a_draw_has_requests_of_every_kind_where_kinds_take_turns(kinds):
    requests = [Request(f"kind {index % kinds}") for index in range(48)]
    drawn = draw_requests(requests, 24)
    assert len(drawn) == 24
    assert len({request.prompt for request in drawn}) == kinds


def test_a_draw_keeps_the_order_and_repeats_itself():
    requests = [Request(str(index)) for index in range(20)]
    drawn = draw_requests(requests, 5)
    assert drawn == draw_requests(requests, 5)
    numbers = [int(request.prompt) for request in drawn]
    assert numbers == sorted(set(numbers))


def test_fewer_requests_than_asked_for_are_all_taken():
    requests = tuple(Request(str(index)) for index in range(3))
    assert draw_requests(requests, 16) == requests

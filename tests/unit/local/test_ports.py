"""Which port is whose, and what LOCAL_PORT_BASE may be."""

import pytest

from local.ports import DEFAULT_BASE, MAX_BASE, MIN_BASE, InvalidPortBaseError, Ports, ports_from


def test_the_default_ports_are_those_of_the_design() -> None:
    ports = ports_from({})
    assert (ports.page, ports.token, ports.ingest) == (8080, 8081, 8082)
    assert (ports.token_ops, ports.ingest_ops, ports.processor_ops) == (9081, 9082, 9083)
    assert (ports.momento_grpc, ports.momento_web, ports.aws) == (8084, 8085, 4566)


def test_all_ports_move_by_the_same_distance() -> None:
    moved = ports_from({"LOCAL_PORT_BASE": "18080"})
    assert [port - 10_000 for port in moved.purposes()] == list(Ports().purposes())


@pytest.mark.parametrize("base", [MIN_BASE, DEFAULT_BASE, MAX_BASE])
def test_every_port_of_a_permitted_base_is_a_port_that_needs_no_privilege(base: int) -> None:
    ports = ports_from({"LOCAL_PORT_BASE": str(base)})
    assert len(ports.purposes()) == 9
    assert all(1024 <= port <= 65_535 for port in ports.purposes())


@pytest.mark.parametrize("value", ["", "  ", " 8080 ", "08080"])
def test_blanks_around_a_port_base_are_ignored(value: str) -> None:
    assert ports_from({"LOCAL_PORT_BASE": value}) == Ports()


@pytest.mark.parametrize(
    "value", ["x", "80 80", "8_080", "+8080", "-1", "0x1F90", "8080.0", "٨٠٨٠", "²", str(MIN_BASE - 1)]
)
def test_an_invalid_port_base_is_rejected_with_its_value(value: str) -> None:
    with pytest.raises(InvalidPortBaseError, match="LOCAL_PORT_BASE must be") as caught:
        ports_from({"LOCAL_PORT_BASE": value})
    assert value in str(caught.value)


@pytest.mark.parametrize("value", [str(MAX_BASE + 1), "9" * 10_000])
def test_a_port_base_that_is_too_high_is_rejected(value: str) -> None:
    with pytest.raises(InvalidPortBaseError, match=f"between {MIN_BASE} and {MAX_BASE}"):
        ports_from({"LOCAL_PORT_BASE": value})

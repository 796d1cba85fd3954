"""Settings and faults of the Momento emulator: what is taken and what is refused."""

from dataclasses import fields

import pytest

from local.momento.__main__ import main
from local.momento.faults import MAX_FAULTS, parse_faults
from local.momento.settings import InvalidSettingsError, Settings, camel_case

METHODS = frozenset({"Get", "Publish"})


def test_shown_settings_can_be_applied_again() -> None:
    settings, other = Settings(), Settings(subscriptions=7, down=True)
    settings.change(other.as_json())
    assert settings == other


def test_whole_numbers_are_accepted_and_keep_their_type() -> None:
    settings = Settings()
    settings.change({"heartbeatSeconds": 3, "subscriptions": 9.0})
    assert (repr(settings.heartbeat_seconds), repr(settings.subscriptions)) == ("3.0", "9")


def test_no_setting_is_applied_if_one_is_invalid() -> None:
    settings = Settings()
    with pytest.raises(InvalidSettingsError) as refused:
        settings.change({"subscriptions": 7, "down": "yes", "nope": 1})
    assert refused.value.problems == ["nope: no such setting", "down: must be true or false"]
    assert settings == Settings()


@pytest.mark.parametrize("each", fields(Settings), ids=lambda each: each.name)
def test_every_setting_has_a_description_and_a_default_within_its_bounds(each: object) -> None:
    name, metadata = each.name, each.metadata  # type: ignore[attr-defined]
    assert metadata["help"]
    Settings().change({camel_case(name): getattr(Settings(), name)})


def test_every_setting_is_a_command_line_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"--{each.name.replace('_', '-')}" in printed for each in fields(Settings))


@pytest.mark.parametrize("value", ["", " 5", "nan", "inf", "1_000", "\u0665", "-1", "9" * 400, "x"])
@pytest.mark.parametrize(
    "option",
    [
        *("--grpc-port", "--web-port"),
        *(f"--{each.name.replace('_', '-')}" for each in fields(Settings) if not isinstance(each.default, bool)),
    ],
)
def test_an_option_that_is_not_a_plain_number_is_rejected_by_name(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"{option}={value}"])
    assert ended.value.code == 2
    assert f"{option}: must be " in capsys.readouterr().err


def test_a_fault_has_defaults_for_omitted_fields() -> None:
    (fault,) = parse_faults([{}], METHODS)
    shown = fault.as_json()
    assert parse_faults([shown], METHODS) == [fault]
    assert (shown["method"], shown["ratio"], shown["calls"], shown["status"]) == ("*", 1.0, None, None)


def test_every_problem_of_every_fault_is_named() -> None:
    with pytest.raises(InvalidSettingsError) as refused:
        parse_faults([{"method": "Fly", "ratio": -1}, {}, {"delayMs": "soon", "x": 1}], METHODS)
    assert [problem.partition(": ")[0] for problem in refused.value.problems] == [
        "faults[0].method",
        "faults[0].ratio",
        "faults[2].x",
        "faults[2].delayMs",
    ]


def test_faults_are_bounded_in_number() -> None:
    assert len(parse_faults([{}] * MAX_FAULTS, METHODS)) == MAX_FAULTS
    with pytest.raises(InvalidSettingsError):
        parse_faults([{}] * (MAX_FAULTS + 1), METHODS)


def test_a_fault_applies_to_its_method_up_to_its_number_of_calls() -> None:
    (fault,) = parse_faults([{"method": "Get", "calls": 2}], METHODS)
    assert not fault.matches("Publish", after_effect=False)
    assert not fault.matches("Get", after_effect=True)
    assert [fault.matches("Get", after_effect=False) for _ in range(3)] == [True, True, False]
    assert fault.hits == 2


def test_a_ratio_of_zero_never_applies() -> None:
    (fault,) = parse_faults([{"ratio": 0}], METHODS)
    assert not any(fault.matches("Get", after_effect=False) for _ in range(100))

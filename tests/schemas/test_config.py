"""Defaults, YAML and `--set`, and what a mistake in them says."""

import pytest

from m3h.schemas.config import Settings, as_plain, field_names, resolve
from m3h.schemas.errors import UsageError


class Clean(Settings):
    min_tokens: int = 4
    languages: tuple[str, ...] = ("en",)


class Config(Settings):
    clean: Clean = Clean()
    rate: float = 0.5
    name: str = ""


def message(*args, **fields):
    with pytest.raises(UsageError) as caught:
        resolve(Config, *args, **fields)
    return str(caught.value)


def yaml(folder, text):
    path = folder / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_nothing_given_is_the_defaults():
    assert resolve(Config) == Config()


def test_a_set_wins_over_the_file_and_a_field_over_both(tmp_path):
    file = yaml(tmp_path, "clean:\n  min_tokens: 7\nrate: 0.25\nname: file\n")
    config = resolve(Config, file, ["clean.min_tokens=9", "name=set"], name="field", rate=None)
    assert (config.clean.min_tokens, config.rate, config.name) == (9, 0.25, "field")


def test_the_last_of_two_sets_wins():
    assert resolve(Config, None, ["rate=0.1", "rate=0.2"]).rate == 0.2


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("clean.languages=[en, de]", ("en", "de")),
        ("clean.languages=[]", ()),
    ],
)
def test_a_value_is_read_as_yaml(assignment, expected):
    assert resolve(Config, None, [assignment]).clean.languages == expected


def test_a_value_may_hold_equals_signs():
    assert resolve(Config, None, ["name=a=b"]).name == "a=b"


def test_an_empty_file_changes_nothing(tmp_path):
    assert resolve(Config, yaml(tmp_path, "# nothing\n")) == Config()


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (["clean.min_token=3"], "--set: no field 'clean.min_token'. Did you mean 'clean.min_tokens'?"),
        (["zzz=3"], "--set: no field 'zzz'. Known: clean.min_tokens, clean.languages, rate, name."),
        (["rate"], "--set rate: expected FIELD=VALUE, such as clean.min_tokens=4."),
        (["=3"], "--set =3: expected FIELD=VALUE, such as clean.min_tokens=4."),
        (["rate=[1"], "--set rate=[1: the value is not readable as YAML."),
        (["name=2021-02-30"], "--set name=2021-02-30: the value is not readable as YAML."),
        (["rate=1", "rate.x=2"], "--set rate.x=2: 'rate' has no fields."),
    ],
)
def test_a_wrong_set_says_what_is_wrong(sets, expected):
    assert message(None, sets) == expected


def test_a_wrong_type_names_the_field_and_the_value():
    assert message(None, ["clean.min_tokens=many"]).startswith("--set: clean.min_tokens: input should be a valid int")
    assert message(None, ["clean.min_tokens=many"]).endswith("got 'many'.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clean: {min_tokn: 3}", "no field 'clean.min_tokn'. Did you mean 'clean.min_tokens'?"),
        ("rate: [1", "not readable as YAML"),
        ("name: 2021-02-30", "not readable as YAML"),
        (b"name: \xff\xfe\xfd", "not readable as YAML"),
        ("- a\n- b\n", "expected fields and values, got list."),
        ("!!python/object/apply:os.system ['true']", "not readable as YAML"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path, text, expected):
    said = message(yaml(tmp_path, text))
    assert expected in said
    assert str(tmp_path / "c.yaml") in said


def test_a_missing_file_is_wrong_use(tmp_path):
    assert message(tmp_path / "no.yaml") == f"config {tmp_path / 'no.yaml'}: No such file or directory."


def test_field_names_are_the_leaves_with_dots():
    assert field_names(Config) == ["clean.min_tokens", "clean.languages", "rate", "name"]


def test_plain_values_resolve_to_the_same_configuration():
    config = resolve(Config, None, ["clean.languages=[de]", "rate=0.125"])
    assert Config.model_validate(as_plain(config)) == config

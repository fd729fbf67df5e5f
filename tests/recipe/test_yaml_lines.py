"""YAML as recipes use it: what is a number, what is refused, what is written and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.yaml_lines import dump_yaml, parse_yaml, read_yaml


def value_of(text: str):
    return parse_yaml(f"key: {text}", "a.yaml")[0]["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-5", 2e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("010", 10),
        ("0x1f", 31),
        ("-3", -3),
        ("true", True),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("1_000", "1_000"),
        ("'2e-5'", "2e-5"),
        (".inf", ".inf"),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(text, value):
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\r\t\x85 1.e-+:")
)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, plain, max_size=4))
def test_what_is_written_is_what_is_read(value):
    assert parse_yaml(dump_yaml(value), "a.yaml")[0] == value


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@`?,~ \n\t<1.é\x00\x07\ufeff")))
def test_any_text_gives_a_value_or_a_recipe_error(text):
    try:
        parse_yaml(text, "a.yaml")
    except RecipeError as error:
        assert error.where.startswith("a.yaml")


def test_every_key_and_entry_knows_its_line():
    _, lines = parse_yaml("a: 1\nb:\n  c: [x,\n    y]\n", "a.yaml")
    assert lines == {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", "0"): 3, ("b", "c", "1"): 4}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\na: 2", 2, "given twice"),
        ("a:\n  b: 1\n  b: 1", 3, "given twice"),
        ("a: 1\nb: [", 2, "not valid YAML"),
        ("a: 1\n\tb: 2", 2, "not valid YAML"),
        ("a: 1\nb: c: d", 2, "not valid YAML"),
        ("a: *gone", 1, "undefined alias"),
        ("--- {a: 1}\n--- {b: 1}", 2, "another document"),
        ("a: 1\nb: \x07", 2, "U+0007"),
        ("? [a]\n: 1", 1, "single text"),
        ("a: !!set {x}", 1, "tag"),
        ("a: !!python/object/apply:os.system [ls]", 1, "tag"),
        ("a: !!int x", 1, "cannot read"),
        ("a: 1e999", 1, "cannot read"),
        ('a: "\\ud800"', 1, "cannot read"),
        ("a: " + "9" * 5000, 1, "cannot read"),
        ("a: &a [*a]", 1, "too deeply"),
    ],
)
def test_what_has_no_place_in_a_recipe_is_refused_with_its_line(text, line, said):
    with pytest.raises(RecipeError) as caught:
        parse_yaml(text, "a.yaml")
    assert caught.value.where == f"a.yaml:{line}"
    assert said in caught.value.what


@pytest.mark.parametrize(
    ("text", "advice"),
    [("a:\n\t- b", "spaces"), ("a: b: c", "quotes"), ("a: [", "indentation")],
)
def test_broken_yaml_comes_with_advice(text, advice):
    with pytest.raises(RecipeError) as caught:
        parse_yaml(text, "a.yaml")
    assert advice in caught.value.hint


def test_a_bomb_of_aliases_is_defused():
    layers = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(RecipeError, match="20,000 values"):
        parse_yaml("\n".join(["a0: &a0 [x]", *layers]), "a.yaml")


def test_deep_nesting_is_refused():
    with pytest.raises(RecipeError, match="too deeply"):
        parse_yaml("[" * 5000, "a.yaml")


def test_an_anchor_used_again_is_a_copy():
    value, _ = parse_yaml("a: &x {k: 1}\nb: *x", "a.yaml")
    value["a"]["k"] = 2
    assert value["b"] == {"k": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# only a comment", "is empty"),
        ("- a", "a list"),
        ("3", "a number"),
        ("hello", "a single text"),
        ("true", "something else"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, said):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_yaml(file)
    assert said in caught.value.what
    assert "tesuji recipes show" in caught.value.hint

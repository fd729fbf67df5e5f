import pytest

from tesuji.core.redact import MARK, redact, redact_all

LETTERS = "AbCdEfGhIjKlMnOpQrStUvWx"


@pytest.mark.parametrize(
    "token",
    [
        f"hf_{LETTERS}",
        f"sk-{LETTERS}",
        f"sk-proj-{LETTERS}_{LETTERS}",
        f"rpa_{LETTERS}",
        f"ak-{LETTERS}",
        f"ghp_{LETTERS}",
        f"github_pat_{LETTERS}",
        "AKIAABCDEFGHIJKLMNOP",
        f"eyJ{LETTERS}.{LETTERS}.{LETTERS}",
    ],
)
def test_what_looks_like_a_token_is_replaced(token: str) -> None:
    assert redact(f'key="{token}", then') == f'key="{MARK}", then'


def test_bearer_headers_and_passwords_in_urls_are_replaced() -> None:
    assert redact("Authorization: Bearer abcdef123456") == f"Authorization: Bearer {MARK}"
    assert redact("http://me:hunter22@host/v1") == f"http://me:{MARK}@host/v1"


@pytest.mark.parametrize("name", ["HF_TOKEN", "WANDB_API_KEY", "MODAL_TOKEN_SECRET", "password"])
def test_the_value_of_a_secret_variable_is_replaced(monkeypatch, name: str) -> None:
    monkeypatch.setenv(name, "correct horse & <battery>")
    assert redact("it was correct horse & <battery>!") == f"it was {MARK}!"


def test_a_value_that_contains_another_goes_as_a_whole(monkeypatch) -> None:
    monkeypatch.setenv("A_TOKEN", "11112222")
    monkeypatch.setenv("B_TOKEN", "1111222233334444")
    assert redact("1111222233334444") == MARK


@pytest.mark.parametrize(
    "token", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "/wJalrXUtnFEMI/K7MDENGbPx", "//9j4AAQSkZJRg+ab"]
)
def test_a_token_with_slashes_is_replaced(monkeypatch, token: str) -> None:
    monkeypatch.setenv("AWS_SECRET_KEY", token)
    assert redact(f"signed with {token}, sent") == f"signed with {MARK}, sent"


def test_paths_stay_though_a_secret_variable_holds_one(monkeypatch, tmp_path) -> None:
    for path in (tmp_path / "service" / "key.json", "/etc/tesuji/no-such-file.pem"):
        monkeypatch.setenv("SERVICE_CREDENTIALS", str(path))
        text = f"cannot read {path}: no such file"
        assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "0b4de19f25d3c0a3f5b2a1c7f0e9d8c7b6a59483",  # a git commit
        "mask-image-very-long-property-name",
        "risk-averse-and-desk-bound-players",
        "http://127.0.0.1:8000/v1",
        "runs/2025-01-01_tictactoe/stages/03-grpo/final/model.safetensors",
        "The monkey wins as x(1,1)",
    ],
)
def test_ordinary_text_stays(monkeypatch, text: str) -> None:
    monkeypatch.setenv("SOME_TOKEN", "x")
    monkeypatch.setenv("MONKEY", "The monkey")
    assert redact(text) == text


def test_nested_values_are_redacted_and_numbers_kept() -> None:
    nested = {"a": [f"hf_{LETTERS}", 1, None, ({f"sk-{LETTERS}": 0.5},)]}
    assert redact_all(nested) == {"a": [MARK, 1, None, [{MARK: 0.5}]]}

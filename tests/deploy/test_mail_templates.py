"""The owner's templates of mails in a folder as Kubernetes mounts a ConfigMap."""

from pathlib import Path

from shared.letters import Letters


def test_a_mounted_config_map_overrides_templates(tmp_path: Path) -> None:
    own, mounted = tmp_path / "own", tmp_path / "mounted"
    version = mounted / "..2026_01_02_03_04_05.678"
    for folder in (own, version):
        folder.mkdir(parents=True)
    (own / "hello.txt").write_text("Subject: Hello\n\nThe release's text")
    (own / "hello.html").write_text("The release's page")
    (version / "hello.txt").write_text("Subject: Hello from {{ shop.name }}\n\nThe owner's text")
    (version / "shop.toml").write_text('name = "Tea"')
    (mounted / "..data").symlink_to(version.name)
    for name in ("hello.txt", "shop.toml"):
        (mounted / name).symlink_to(f"..data/{name}")
    letter = Letters(own, public_url="https://shop.example", overrides=mounted).render("hello", {})
    assert (letter.subject, letter.text) == ("Hello from Tea", "The owner's text\n")
    assert letter.html == "The release's page"


def test_an_empty_folder_of_a_config_map_that_does_not_exist_overrides_nothing(tmp_path: Path) -> None:
    own, mounted = tmp_path / "own", tmp_path / "mounted"
    own.mkdir()
    mounted.mkdir()
    (own / "hello.txt").write_text("Subject: {{ shop.name }}\n\nText")
    (own / "hello.html").write_text("Page")
    letter = Letters(own, public_url="https://shop.example", overrides=mounted).render("hello", {})
    assert (letter.subject, letter.text, letter.html) == ("Shopfleet", "Text\n", "Page")

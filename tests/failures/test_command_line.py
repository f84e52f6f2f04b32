"""Wrong names are found before anything runs: exit status 2 and the right names."""

import pytest

from srdistill.study.run import main


@pytest.fixture(autouse=True)
def nothing_may_run(monkeypatch):
    def never(*_, **__):
        raise AssertionError("a notebook was executed")

    monkeypatch.setattr("srdistill.study.run._on_a_cluster", never)


@pytest.fixture
def two_notebooks(repository):
    repository.write_plain("01_one")
    repository.write_plain("02_two")
    return repository


def refused(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error
    return error


def test_unknown_notebook(two_notebooks, capsys):
    error = refused(capsys, "07_seven", "--profile", "smoke")
    assert "unknown notebook '07_seven'; there are: 01_one, 02_two" in error


def test_unknown_profile(two_notebooks, capsys):
    error = refused(capsys, "01_one", "--profile", "huge")
    assert "unknown profile 'huge'; there are: smoke, laptop, desktop, gpu, paper" in error


def test_unknown_parameter(two_notebooks, capsys):
    error = refused(capsys, "--profile", "smoke", "-p", "speed=3")
    assert "01_one: unknown parameter 'speed'; it has: data, profile, seeds" in error


def test_unknown_parameter_with_the_value_zero(two_notebooks, capsys):
    assert "unknown parameter 'speed'" in refused(capsys, "--profile", "smoke", "-p", "speed=0")


def test_profile_is_not_a_parameter_beside_the_option(two_notebooks, capsys):
    assert "--profile" in refused(capsys, "--profile", "smoke", "-p", "profile=laptop")


def test_parameter_without_a_value(two_notebooks, capsys):
    assert "-p takes NAME=VALUE, got 'seeds'" in refused(capsys, "-p", "seeds")


@pytest.mark.parametrize("seeds", ["-1", "0"])
def test_an_impossible_number_of_seeds(two_notebooks, capsys, seeds):
    assert f"--seeds must be 1 or more, got {seeds}" in refused(capsys, "--profile", "smoke", "--seeds", seeds)


@pytest.mark.parametrize("workers", ["-1", "0"])
def test_an_impossible_number_of_workers(two_notebooks, capsys, workers):
    assert "--workers must be 1 or more" in refused(capsys, "--workers", workers)


def test_an_impossible_number_of_workers_in_the_environment(two_notebooks, monkeypatch, capsys):
    monkeypatch.setenv("SRDISTILL_WORKERS", "many")
    assert "SRDISTILL_WORKERS is 'many'; it must be a number" in refused(capsys, "--profile", "smoke")


def test_a_parameter_that_only_one_of_the_notebooks_lacks(repository, capsys):
    repository.write_plain("01_one")
    repository.write("02_two", "1", parameters='profile = ""\nspeed = 1\n')
    assert "01_one: unknown parameter 'speed'" in refused(capsys, "-p", "speed=3")


def test_missing_parameters_tag(repository, capsys):
    repository.write("01_one", "1", tags="")
    assert "01_one: needs exactly one cell tagged 'parameters', has 0" in refused(capsys)


def test_folder_of_pictures_that_is_not_there(two_notebooks, tmp_path, capsys):
    assert "nowhere is not a folder" in refused(capsys, "--data", str(tmp_path / "nowhere"))


def test_help_names_the_options(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    words = ("--profile", "smoke, laptop, desktop, gpu, paper", "--seeds", "--data", "--workers", "NAME=VALUE")
    assert all(word in text for word in words)

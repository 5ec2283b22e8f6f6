"""What every whole-model test needs: the program, told at once where it is missing."""

import pytest

import harness


def pytest_configure(config):
    config.addinivalue_line("markers", "big: takes gigabytes of disk and minutes; run with -m big")


def pytest_collection_modifyitems(config, items):
    if "big" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="gigabytes of disk: run with -m big")
    for item in items:
        if "big" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def program():
    """Fails every test where there is no `edgewright` program, rather than skipping them all."""
    return harness.edgewright.find_program()


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """From a name to the converted file, each converted once."""
    folder, made = tmp_path_factory.mktemp("converted"), {}

    def of(name):
        if name not in made:
            made[name] = folder / f"{name}.tflite"
            harness.convert(harness.exported(name), made[name])
        return made[name]

    return of

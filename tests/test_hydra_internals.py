"""What this package uses of Hydra beyond its public interface; a failure here means that a new Hydra has changed it."""

import inspect
import os
import sys

import hydra
import hydra._internal.hydra
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from kanpde import InputError
from kanpde.command.composing import config_from
from kanpde.command.hydra_internals import FULL_ERROR, Loader, call_hydra, flags_and_options, own_loader
from kanpde.paths import packaged

LOOK_AT = f"Hydra {hydra.__version__} differs from 1.3: look at {{}} and at kanpde/command/hydra_internals.py"
SIGNATURES = {
    "load_configuration": ["self", "config_name", "overrides", "run_mode", "from_shell", "validate_sweep_overrides"],
    "load_sweep_config": ["self", "master_config", "sweep_overrides"],
    "_compose_config_from_defaults_list": ["self", "defaults", "repo"],
}


@pytest.mark.parametrize("method", SIGNATURES)
def test_methods_that_the_loader_overrides_have_their_signatures(method):
    where = f"hydra._internal.config_loader_impl.ConfigLoaderImpl.{method}"
    found = getattr(ConfigLoaderImpl, method, None)
    assert found is not None and list(inspect.signature(found).parameters) == SIGNATURES[method], LOOK_AT.format(where)


def loader_type():
    with hydra.initialize_config_dir(str(packaged("conf")), version_base="1.3"):
        return type(GlobalHydra.instance().hydra.config_loader)


def test_hydra_loads_by_the_loader_within_the_context_only():
    with own_loader():
        where = "hydra._internal.hydra.Hydra.create_main_hydra2, which made a ConfigLoaderImpl"
        assert loader_type() is Loader, LOOK_AT.format(where)
    assert loader_type() is ConfigLoaderImpl


def test_groups_accept_options_that_their_yaml_does_not_list():
    where = LOOK_AT.format("ConfigLoaderImpl._load_configuration_impl, which closed all groups (struct mode)")
    try:
        config = config_from(["weights.boundary=100", "schedule.phases.0.grid=3"])
    except InputError as error:
        pytest.fail(f"{error} {where}")
    assert config["weights"] == {"boundary": 100} and config["schedule"]["phases"][0]["grid"] == 3, where


def test_options_are_taken_from_the_list_and_errors_are_raised(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FULL_ERROR, raising=False)
    before, seen = list(sys.argv), []
    where = LOOK_AT.format("hydra.main and hydra._internal.utils.run_and_report")

    def task(config):
        seen.append((config.seed, HydraConfig.get().runtime.choices["model"]))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call_hydra(task, ["seed=5", "model=mlp"])
    assert seen == [(5, "mlp")] and sys.argv == before and os.environ.get(FULL_ERROR) in (None, ""), where


def test_the_parser_has_the_flags_that_are_looked_at():
    known = flags_and_options().parse_intermixed_args(["seed=1", "-m", "model=kan"])
    where = LOOK_AT.format("hydra._internal.utils.get_args_parser")
    assert known.overrides == ["seed=1", "model=kan"] and known.multirun is True, where
    assert {"cfg", "help", "hydra_help", "info"} <= set(vars(known)), where
    with pytest.raises(InputError, match="--bogus"):
        flags_and_options().parse_intermixed_args(["--bogus"])

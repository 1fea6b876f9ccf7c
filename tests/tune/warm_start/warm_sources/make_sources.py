"""Make the sources of this folder: `python make_sources.py`.

Run it with the Optuna version that the source should come from (1.5 to 5).
"""

import math
import sqlite3
import sys
from pathlib import Path

import optuna

HERE = Path(__file__).parent
VERSION = optuna.__version__


def trial_values(trial):
    """Parameters under foreign names; the value is best at weight 1 and three layers."""
    weight = trial.suggest_float("contrastive.weight", 0.01, 100, log=True)
    temperature = trial.suggest_float("temperature", 0.05, 0.5, log=True)
    kind = trial.suggest_categorical("head_kind", ["none", "mlp"])
    layers = trial.suggest_int("Head.Layers", 1, 3) if kind == "mlp" else 0
    trial.suggest_categorical("train.batch_size", ["8", "16"])
    trial.suggest_float("dropout", 0.0, 0.5, step=0.25)
    return 20 - 3 * math.log10(weight) ** 2 + layers - temperature


def objective(trial):
    """Numbers 2 to 5 end pruned, failed, not a number, infinite."""
    value = trial_values(trial)
    trial.report(math.inf if trial.number == 1 else value, 1)
    if trial.number == 2:
        raise optuna.TrialPruned
    if trial.number == 3:
        raise RuntimeError("out of memory")
    return {4: math.nan, 5: math.inf}.get(trial.number, value)


def fill(storage):
    """Create three studies: one to maximise, one to minimise, one with two values.

    The first contains every state in which a trial can end.
    """

    def study(name, seed=0, **goal):
        return optuna.create_study(
            storage=storage,
            study_name=name,
            sampler=optuna.samplers.RandomSampler(seed=seed),
            **goal,
        )

    made = study("recipe", direction="maximize")
    made.optimize(objective, n_trials=9, catch=(RuntimeError,))
    made._storage.create_new_trial(made._study_id)  # stays running
    if hasattr(made, "enqueue_trial"):
        made.enqueue_trial({"temperature": 0.1})  # stays waiting
    study("loss", 1, direction="minimize").optimize(lambda trial: -trial_values(trial), n_trials=2)
    if int(VERSION.split(".")[0]) > 1 and VERSION != "2.3.0":
        study("front", 2, directions=["maximize", "minimize"]).optimize(
            lambda trial: (trial_values(trial), trial.number), n_trials=2
        )


def main():
    """Writes optuna-VERSION.sql and, where the version has a journal, optuna-VERSION.journal."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    base = Path(sys.argv[1] if len(sys.argv) > 1 else HERE)
    database = base / "made.db"
    fill(f"sqlite:///{database}")
    with sqlite3.connect(database) as connection:
        dump = "\n".join(connection.iterdump()).replace(",Inf", ",9e999")  # as SQLite reads it back
        (base / f"optuna-{VERSION}.sql").write_text(dump + "\n", encoding="utf-8")
    database.unlink()
    if tuple(map(int, VERSION.split(".")[:2])) >= (3, 1):
        log = str(base / f"optuna-{VERSION}.journal")
        backend = (
            optuna.storages.journal.JournalFileBackend(log)
            if VERSION[0] >= "4"
            else optuna.storages.JournalFileStorage(log)
        )
        fill(optuna.storages.JournalStorage(backend))


if __name__ == "__main__":
    main()

"""The run store, against SQLite and PostgreSQL alike: whole or not there, unchanged or found out."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DatabaseError

from forecaster.errors import FaultyInput, ForecasterError
from forecaster.store import Store, open_store, schema, store_address, store_configured
from forecaster.store.connect import shown

FILES = {"forecast.csv": b"x\n1\n", "posterior.nc": bytes(range(256)) * 40}
WRITER = Path(__file__).with_name("store_writer.py")
_numbers = count()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def address(request, tmp_path) -> str:
    """An empty store's address."""
    if request.param == "sqlite":
        return str(tmp_path / "runs")
    server, name = request.getfixturevalue("postgres_address"), f"runs_{next(_numbers)}"
    engine = create_engine(
        f"{server}/postgres".replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


@pytest.fixture
def store(address) -> Store:
    return open_store(address)


def keep(store: Store, why: str = "a try", kind: str = "projection", **more):
    return store.publish(kind, "made_up", "a" * 64, {"seed": 7, "rate": 0.0517}, FILES, why=why, **more)


def tamper(store: Store, *statements: str) -> None:
    """Change the catalogue behind the store's back: its own guards are taken down before and put back afterwards."""
    engine = create_engine(store.engine.url)
    tables = sorted({table for table, _ in schema.GUARDED})
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            guards = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
            down, up = [f"DROP TRIGGER {name}" for name, _ in guards], [sql for _, sql in guards]
        else:
            down, up = (
                [f"ALTER TABLE {table} {how} TRIGGER USER" for table in tables] for how in ("DISABLE", "ENABLE")
            )
        for statement in down:
            connection.exec_driver_sql(statement)
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount > 0, statement
        for statement in up:
            connection.exec_driver_sql(statement)
    engine.dispose()


# --- keeping and finding ----------------------------------------------------------------------------------------------
def test_what_is_kept_is_found_again_as_it_was(store, monkeypatch):
    monkeypatch.setenv("FORECASTER_WHO", "an actuary")
    fit = keep(store, "the fit", "fit")
    run = keep(store, "預算 2027", parent=fit.id)
    found = store.find(run.id[:8])
    assert found == run
    assert (found.why, found.who, found.parent, found.manifest["rate"]) == ("預算 2027", "an actuary", fit.id, 0.0517)
    assert {name: store.read(found, name) for name in found.files} == FILES
    assert [r.why for r in store.runs()] == ["預算 2027", "the fit"]
    assert store.runs(kind="fit") == [fit]
    assert store.runs(pool="another") == []
    assert store.faults() == []


def test_the_same_result_twice_is_two_runs(store):
    first, second = keep(store), keep(store)
    assert first.id != second.id
    assert first.result == second.result
    assert store.newest("projection", "a" * 64) == second


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"kind": "guess"}, "found 'guess'; allowed: fit, backtest, projection, scenario"),
        ({"why": " "}, "say what the run is for"),
        ({"files": {"../escape": b""}}, "no plain name"),
        ({"files": {"a/b": b""}}, "no plain name"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path, changed, told):
    store = open_store(str(tmp_path / "runs"))
    asked = {"kind": "fit", "pool": "p", "result": "a", "manifest": {}, "files": {}, "why": "because"} | changed
    with pytest.raises(FaultyInput) as error:
        store.publish(**asked)
    assert told in str(error.value)
    assert store.runs() == []


def test_a_name_follows_its_last_promotion(store):
    first, second = keep(store, "one"), keep(store, "two")
    store.promote(first, "official", "the board's decision")
    store.promote(second, "official", "new data")
    assert store.find("official") == second
    assert store.baselines()["official"].why == "new data"
    assert [entry.action for entry in store.audit_log()] == ["publish", "publish", "promote", "promote"]
    assert store.faults() == []


def test_names_that_cannot_be_are_refused(tmp_path):
    store = open_store(str(tmp_path / "runs"))
    run = keep(store)
    for name in ("", "9lives", "a b", "../up", "deadbeef", "x" * 65):
        with pytest.raises(FaultyInput, match="choose another name"):
            store.promote(run, name, "why not")


def test_an_ambiguous_or_unknown_run_is_told(tmp_path):
    store = open_store(str(tmp_path / "runs"))
    runs = [keep(store, str(i)) for i in range(17)]
    first = {run.id[0] for run in runs}
    several = next(letter for letter in first if sum(run.id[0] == letter for run in runs) > 1)
    both = [run for run in runs if run.id[0] == several][:2]
    with pytest.raises(ForecasterError, match="forecaster runs list"):
        store.find("official")
    with pytest.raises(ForecasterError, match="no run"):
        store.find(several)  # one character is no id
    assert store.find(both[0].id) == both[0]


_hostile_store: list[Store] = []


@given(st.one_of(st.text(max_size=80), st.sampled_from(["../../etc/passwd", "' OR 1=1 --", "a\0b", "%2e%2e/", "~/x"])))
def test_no_hostile_id_opens_anything(tmp_path_factory, name):
    if not _hostile_store:
        _hostile_store.append(open_store(str(tmp_path_factory.mktemp("hostile") / "runs")))
    with pytest.raises(ForecasterError, match="no run"):
        _hostile_store[0].find(name)


# --- pruning ----------------------------------------------------------------------------------------------------------
def test_prune_keeps_promoted_runs_their_parents_and_shared_files(store):
    fit = keep(store, "the fit", "fit")
    child = keep(store, "promoted", parent=fit.id)
    loose = store.publish("projection", "p", "b" * 64, {}, {**FILES, "own.txt": b"own"}, why="loose")
    store.promote(child, "official", "because")
    before = "2999"
    assert [run.id for run in store.prune(before, really=False)] == [loose.id]
    assert len(store.runs()) == 3
    store.prune(before, really=True)
    assert {run.id for run in store.runs()} == {fit.id, child.id}
    assert store.faults() == []
    assert store.audit_log()[-1].action == "prune"
    with store.engine.connect() as connection:
        assert set(store.objects.names(connection)) == {file.sha256 for file in child.files.values()}


def test_prune_removes_children_first_whatever_the_clock_said(store, monkeypatch):
    monkeypatch.setattr("forecaster.store.catalogue._now", lambda: "2026-05-02T00:00:00.000000+00:00")
    parent = keep(store, kind="fit")
    monkeypatch.setattr("forecaster.store.catalogue._now", lambda: "2026-05-01T00:00:00.000000+00:00")
    child = keep(store, parent=parent.id)
    gone = store.prune("2026-06-01", really=True)
    assert {run.id for run in gone} == {parent.id, child.id}
    assert store.runs() == []
    assert store.faults() == []


def test_prune_by_age_and_kind(store):
    old = keep(store, "old")
    moment = keep(store, "new", "fit").created
    assert [run.id for run in store.prune(moment, really=False)] == [old.id]
    assert store.prune(moment, kinds=("backtest",), really=False) == []


# --- proof ------------------------------------------------------------------------------------------------------------
TAMPERING = (
    "UPDATE runs SET why = 'another'",
    "UPDATE audit SET who = 'nobody' WHERE seq = 1",
    "DELETE FROM promotions",
    "UPDATE runs SET who = 'nobody'",
    "UPDATE runs SET created = '1999'",
    "UPDATE runs SET manifest = '{\"seed\":8}'",
    "UPDATE runs SET manifest = 'not even JSON'",
    "UPDATE run_files SET name = 'b.csv' WHERE name = 'forecast.csv'",
    "UPDATE audit SET hash = previous WHERE seq = 2",
    "DELETE FROM audit WHERE seq = 1",
    "DELETE FROM audit WHERE seq = 2",
    "UPDATE promotions SET name = 'mine'",
    "UPDATE promotions SET why = 'another'",
    "UPDATE promotions SET who = 'nobody'",
    "UPDATE promotions SET at = '1999'",
    "UPDATE audit SET detail = '{\"name\":' WHERE seq = 2",
    "UPDATE audit SET detail = '7' WHERE seq = 2",
    "DELETE FROM run_files WHERE name = 'forecast.csv'",
)


@pytest.mark.parametrize("statement", TAMPERING)
def test_whatever_is_changed_behind_its_back_is_found(tmp_path, statement):
    store = open_store(str(tmp_path / "runs"))
    store.promote(keep(store), "official", "because")
    assert store.faults() == []
    tamper(store, statement)
    assert store.faults() != []


def test_several_changes_are_all_found(store):
    store.promote(keep(store), "official", "because")
    tamper(store, *TAMPERING[:3])
    words = "\n".join(store.faults())
    assert "its record was changed" in words
    assert "line 1 was changed" in words
    assert "name official: its promotion is not as the audit log has it" in words


def test_a_run_removed_behind_its_back_is_missed(store):
    keep(store)
    tamper(store, "DELETE FROM run_files", "DELETE FROM runs")
    assert "removed behind the store's back" in store.faults()[0]


def test_the_database_itself_refuses_changes(store):
    store.promote(keep(store), "official", "because")
    for statement in (
        "UPDATE runs SET why = 'x'",
        "UPDATE audit SET who = 'x'",
        "DELETE FROM audit",
        "DELETE FROM promotions",
    ):
        with pytest.raises(DatabaseError, match="append-only"), store.engine.begin() as connection:
            connection.execute(text(statement))


def test_a_guard_that_is_gone_or_altered_is_found(store):
    keep(store)
    assert store.faults() == []
    engine = create_engine(store.engine.url)
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER audit_no_delete")
            connection.exec_driver_sql("DROP TRIGGER runs_no_update")
            connection.exec_driver_sql(
                "CREATE TRIGGER runs_no_update BEFORE UPDATE ON runs WHEN 0 "
                "BEGIN SELECT RAISE(ABORT, 'runs is append-only'); END"
            )
        else:
            connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_no_delete")
            connection.exec_driver_sql("DROP TRIGGER runs_no_update ON runs")
    engine.dispose()
    assert store.faults() == [
        f"table {table}: its own guard against {action} is gone or was altered; restore the store from a copy"
        for table, action in (("runs", "UPDATE"), ("audit", "DELETE"))
    ]


def test_one_flipped_bit_in_any_file_is_found(tmp_path):
    store = open_store(str(tmp_path / "runs"))
    run = keep(store)
    for name, file in run.files.items():
        path = tmp_path / "runs" / "objects" / file.sha256[:2] / file.sha256
        sound = path.read_bytes()
        path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        assert store.faults_of(run) == [f"run {run.short}: {name} is damaged, its content does not match its hash"]
        assert store.faults() != []
        with pytest.raises(ForecasterError, match="restore the store from a copy"):
            store.read(run, name)
        path.unlink()
        assert store.faults_of(run) == [f"run {run.short}: {name} is missing"]
        # The same content kept again mends it.
        keep(store)
        assert store.faults() == []


def test_a_tampered_file_name_opens_nothing(tmp_path):
    store = open_store(str(tmp_path / "runs"))
    keep(store)
    tamper(store, "UPDATE run_files SET sha256 = '../../../../etc/passwd'")
    with pytest.raises(ForecasterError, match="tampered"):
        store.faults()


# --- at once, killed, full --------------------------------------------------------------------------------------------
def ask_writer(address: str, *words: object) -> dict:
    done = subprocess.run(
        [sys.executable, str(WRITER), address, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(WRITER.parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_of_many_writers_nothing_is_lost(store, address):
    answer = ask_writer(address, "crowd", 6, 2)
    assert answer["ends"] == [0] * 6
    assert answer["whys"] == sorted(f"{writer}-{number}" for writer in range(6) for number in range(2))
    assert answer["faults"] == []


def test_killed_at_any_moment_a_run_is_there_whole_or_not_at_all(store, address):
    answer = ask_writer(address, "kill", 7)
    assert answer["calls"] > 1000
    assert answer["faults"] == []
    # Killed early nothing is kept, and it is never kept at one moment and not at a later one.
    assert answer["kept"] == sorted(answer["kept"])
    assert answer["kept"][0] == 0
    assert set(answer["kept"]) <= {0, 1}
    assert answer["died"] >= 6
    assert answer["newest"] == "after all"


@pytest.mark.slow
def test_a_hundred_deaths_and_four_thousand_writes_lose_nothing(store, address):
    answer = ask_writer(address, "kill", 100)
    assert answer["faults"] == []
    answer = ask_writer(address, "crowd", 8, 500)
    assert answer["ends"] == [0] * 8
    assert len(set(answer["whys"])) >= 4000
    assert answer["faults"] == []


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_full_disk_leaves_the_store_as_it_was(tmp_path, monkeypatch, fails_at):
    store = open_store(str(tmp_path / "runs"))
    keep(store, "before")
    calls, real = count(1), os.fsync

    def full(handle: int) -> None:
        if next(calls) == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr("forecaster.store.objects.os.fsync", full)
    with pytest.raises(ForecasterError, match=r"no room on its disk, .* MB needed, [\d.,]+ MB free; nothing"):
        keep(store, "too much")
    monkeypatch.undo()
    assert [run.why for run in store.runs()] == ["before"]
    assert store.faults() == []
    assert list((tmp_path / "runs" / "staging").iterdir()) == []


def test_a_full_catalogue_leaves_the_store_as_it_was(tmp_path):
    store = open_store(str(tmp_path / "runs"))
    keep(store, "before")

    @event.listens_for(store.engine, "connect")
    def _no_more_pages(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}").close()

    with pytest.raises(ForecasterError, match="no room on its disk"):
        store.publish("fit", "p", "b" * 64, {"much": "x" * 200_000}, FILES, why="too much")
    assert [run.why for run in store.runs()] == ["before"]
    assert store.faults() == []


@contextmanager
def no_byte_can_be_written() -> Iterator[None]:
    """What a full disk does to every file of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_store_on_a_full_disk_is_read_and_says_why_it_is_not_written(tmp_path, monkeypatch):
    store = open_store(str(tmp_path / "runs"))
    run = keep(store, "before")
    monkeypatch.setattr("forecaster.store.connect._free", lambda address: 0)
    with no_byte_can_be_written():
        again = open_store(str(tmp_path / "runs"))
        read = again.runs(), again.faults(), again.read(run, "forecast.csv"), len(again.audit_log())
        with pytest.raises(ForecasterError, match=r"no room on its disk, 0\.0 MB free; nothing was changed"):
            again.promote(run, "official", "because")
        with pytest.raises(ForecasterError, match=r"cannot open .* no room on its disk"):
            open_store(str(tmp_path / "other"))
    assert read == ([run], [], FILES["forecast.csv"], 1)
    assert store.baselines() == {}


def test_changes_a_killed_writer_left_beside_the_catalogue_are_read_on_a_full_disk(tmp_path):
    store = open_store(str(tmp_path / "runs"))
    keep(store, "one")
    with store.engine.connect():  # as long as somebody reads, the last change stays beside the catalogue
        keep(store, "two")
        shutil.copytree(tmp_path / "runs", tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
    assert (tmp_path / "copy" / "catalogue.sqlite-wal").stat().st_size > 0
    with no_byte_can_be_written():
        found = [run.why for run in open_store(str(tmp_path / "copy")).runs()]
    assert found == ["two", "one"]


def test_a_catalogue_that_is_gone_or_damaged_is_no_empty_store(tmp_path):
    store = open_store(str(tmp_path / "runs"))
    keep(store)
    path = tmp_path / "runs" / "catalogue.sqlite"
    sound = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(ForecasterError, match=r"catalogue.sqlite is gone, its runs' files are there; restore it"):
        open_store(str(tmp_path / "runs"))
    for damaged in (sound[: len(sound) // 2], b"no database" * 999, sound.replace(b"CREATE TABLE", b"CREATE TABL\xff")):
        path.write_bytes(damaged)
        with pytest.raises(ForecasterError, match=r"its catalogue is damaged .*; restore the store from a copy"):
            open_store(str(tmp_path / "runs")).faults()
    path.write_bytes(sound)
    assert open_store(str(tmp_path / "runs")).faults() == []


# --- the catalogue's form ---------------------------------------------------------------------------------------------
def test_migrations_make_the_tables_that_the_code_uses(store):
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_a_store_of_a_newer_version_is_left_alone(store, address):
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ForecasterError, match="made by a newer version"):
        open_store(address)


def test_a_password_is_never_shown():
    address = "postgresql://me:secret@127.0.0.1:1/none"
    assert "secret" not in shown(address)
    with pytest.raises(ForecasterError, match="cannot open the run store") as error:
        open_store(address)
    assert "secret" not in str(error.value)
    with pytest.raises(ForecasterError, match="cannot be read"):
        open_store("postgresql:/me:secret")


def test_a_store_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ForecasterError, match="cannot open the run store"):
        open_store(str(tmp_path / "file"))


def test_where_the_store_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORECASTER_STORE", raising=False)
    assert store_address() == "runs"
    assert not store_configured()
    open_store()
    assert store_configured()
    monkeypatch.setenv("FORECASTER_STORE", "elsewhere")
    assert store_address() == "elsewhere"

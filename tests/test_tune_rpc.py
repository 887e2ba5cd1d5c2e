"""A tracker and three measurement servers on loopback, one of which is killed in the middle."""

import os
import signal
import socket
import threading
import time

import pytest

pytest.importorskip("xgboost")
pytest.importorskip("tornado")

from tuning_nets import small_graph
from tvm_aie.cli.main import main
from tvm_aie.device import load_device
from tvm_aie.errors import InputError
from tvm_aie.tune import bench, remote
from tvm_aie.tune.space import space_of
from tvm_aie.tune.tuner import TuneOptions, tune_graphs

KEY = "aie2-test"


def children(server):
    """Process ids of a server: the one that serves and its forks."""
    import psutil

    process = psutil.Process(server.proc._proc.pid)
    return [*(c.pid for c in process.children(recursive=True)), process.pid]


@pytest.fixture
def fleet():
    tracker = remote.start_tracker("127.0.0.1", 19390)
    servers = [remote.serve(("127.0.0.1", tracker.port), KEY, "127.0.0.1", 19100) for _ in range(3)]
    time.sleep(1.0)
    yield tracker, servers
    for server in servers:
        server.terminate()
    tracker.terminate()


def test_no_tracker_is_an_input_error():
    with pytest.raises(InputError, match="no RPC tracker"):
        remote.RemoteFleet("127.0.0.1", 1, KEY)


def test_something_else_behind_the_port_is_no_tracker():
    """TVM's own client would wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(4)
                connection.sendall(b"HTTP")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(InputError, match="no TVM tracker"):
            remote.tracker_summary("127.0.0.1", server.getsockname()[1])
        thread.join()


def test_a_server_for_a_tracker_that_is_not_there_ends_at_once(capsys):
    assert main(["serve", "--tracker", "127.0.0.1:1"]) == 2
    error = capsys.readouterr().err
    assert "no RPC tracker at 127.0.0.1:1" in error and "Traceback" not in error


def test_a_killed_server_loses_no_result(fleet, tmp_path):
    tracker, servers = fleet
    with pytest.raises(InputError, match="knows no server with key 'other'"):
        remote.RemoteFleet("127.0.0.1", tracker.port, "other")
    seen, killed = [], []

    def kill_one(progress):
        if not progress.layer:  # a plan of the network, or what is prepared
            return
        seen.append(progress)
        if len(seen) == 6:
            for pid in children(servers[0]):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    options = TuneOptions(trials=24, seed=3, workers=0, rpc=("127.0.0.1", tracker.port, KEY), network_trials=4)
    result = tune_graphs([small_graph()], load_device("npu1"), tmp_path / "rpc", options, kill_one)
    assert len(seen) > 6 and killed
    trials = [p for p in result.history if p.layer]
    assert len(trials) >= 20 and all(p.cycles < float("inf") for p in trials)
    # every record holds what this process measures for the same schedule
    device = load_device("npu1")
    from tvm_aie.tune.records import all_measured

    records = all_measured(result.database, device)
    assert len(records) == len(trials)
    for record in records:
        again = space_of(record.space.work, device)
        assert bench.emulate(again.work, again.points[record.point], device) == pytest.approx(record.cycles, rel=1e-6)


def test_a_connection_that_is_never_answered_is_given_up(fleet, tmp_path):
    tracker, _servers = fleet
    before = threading.active_count()  # resident cores of other tests' arrays wait for ever
    fleet_client = remote.RemoteFleet("127.0.0.1", tracker.port, KEY)
    path = tmp_path / "broken.bin"
    path.write_bytes(b"no artefact at all, but long enough")
    cycles, message = fleet_client.submit(str(path)).result(timeout=60)
    assert cycles == 0 and "not a tuning artefact" in message
    assert threading.active_count() < before + 30

"""Figures that all processes add up, and a service that goes on without space for them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from monitoring.metric_files import FILE_BYTES, MetricFiles
from monitoring.metrics import _MAX_COUNTER_CHILDREN, _MAX_HISTOGRAM_CHILDREN
from server import APP_FOLDER, Gunicorn

MakeServer = Callable[..., Gunicorn]

# gunicorn.conf.py, with its files in the only place that is given.
IN_PLACE = """
from pathlib import Path
import sys

__file__ = {configuration!r}
sys.path.insert(0, str(Path(__file__).parent))
from monitoring import metric_files

metric_files.PLACES = ({place!r},)
exec(Path(__file__).read_text())
"""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a file system in memory of so many bytes."""
    place = tmp_path / "small"

    def make(size: int) -> Path:
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("only root may mount a file system")
        return place

    yield make
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def serve_in(make_server: MakeServer, tmp_path: Path) -> Callable[..., Gunicorn]:
    """Start a server whose metrics have only this place."""

    def serve(place: Path, **settings: str) -> Gunicorn:
        configuration = tmp_path / "in_place.conf.py"
        original = str(APP_FOLDER / "gunicorn.conf.py")
        configuration.write_text(IN_PLACE.format(configuration=original, place=str(place)))
        server = make_server("--config", str(configuration), METRICS="on", **settings)
        return server.start()

    return serve


def wait_until(is_so: Callable[[], object]) -> None:
    for _ in range(2000):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("It never was so")


def wait_until_replaced(server: Gunicorn, worker: int) -> None:
    wait_until(lambda: server.workers() not in ([worker], []))


def counted(server: Gunicorn) -> int:
    """The requests to /healthz that all processes have counted together."""
    figures = httpx2.get(f"http://127.0.0.1:{server.port}/metrics").text
    line = re.search(r"^tukma_requests_total{.*/healthz.*} (\d+)", figures, re.MULTILINE)
    return int(line[1]) if line else 0


def test_a_service_without_space_for_metrics_serves_without_them(
    mount: Callable[[int], Path], serve_in: Callable[..., Gunicorn]
) -> None:
    place = mount(65_536)
    server = serve_in(place)
    with server.api() as api:
        assert api.start().status == 200
        for _ in range(20):
            assert api.get("/healthz").status == 200
        assert api.get("/metrics").status == 404
    assert "There are no metrics: no space for their files in" in server.log.read_text()
    assert list(place.iterdir()) == []


def test_a_process_without_space_for_metrics_serves_and_counts_nothing(
    mount: Callable[[int], Path], serve_in: Callable[..., Gunicorn]
) -> None:
    server = serve_in(mount(3 * FILE_BYTES + 65_536), WEB_CONCURRENCY="1")
    (first,) = server.workers()
    with server.api() as api:
        api.get("/healthz")
        assert counted(server) == 1
        # On a reload the new process starts before the old one has ended.
        server.signal(signal.SIGHUP)
        wait_until(lambda: first not in server.workers())
        assert "There is no space for this process's metrics" in server.log.read_text()
        for _ in range(20):
            assert api.get("/healthz").status == 200
        assert counted(server) == 1
        # The one after it finds the files that the first one has left.
        (second,) = server.workers()
        os.kill(second, signal.SIGKILL)
        wait_until_replaced(server, second)
        server.answering()
    with server.api() as api:
        assert api.get("/healthz").status == 200
        assert counted(server) == 2


def test_a_limit_on_the_size_of_files_leaves_a_service_without_metrics(tmp_path: Path) -> None:
    tried = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import resource\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({FILE_BYTES - 1}, -1))\n"
            "from monitoring.metric_files import MetricFiles\n"
            "print(MetricFiles.of_this_process(1))",
        ],
        cwd=APP_FOLDER,
        capture_output=True,
        check=True,
        text=True,
    )
    assert tried.stdout == "None\n"


def test_processes_that_follow_one_another_share_files_and_go_on_counting(
    make_server: MakeServer,
) -> None:
    server = make_server(METRICS="on", WEB_CONCURRENCY="1").start()
    folder = None
    for number in range(1, 4):
        with server.api() as api:
            api.get("/healthz")
        assert counted(server) == number
        (worker,) = server.workers()
        used = folder
        folder = next(
            line.rpartition(" ")[2].rpartition("/")[0]
            for line in Path(f"/proc/{worker}/maps").read_text().splitlines()
            if "tukma-metrics-" in line
        )
        assert used in (None, folder)
        assert len(list(Path(folder).iterdir())) == 3
        os.kill(worker, signal.SIGKILL)
        wait_until_replaced(server, worker)
        server.answering()
    server.stop()
    assert folder is not None
    assert not Path(folder).exists()


def test_as_many_figures_as_are_kept_fit_into_the_files(tmp_path: Path) -> None:
    """All labels at their longest, in a process that says how much of its files it has used."""
    counts = (
        "from pathlib import Path\n"
        "from monitoring import metrics\n"
        "from monitoring.metric_files import MetricFiles\n"
        "files = MetricFiles.of_this_process(1)\n"
        "metrics.start_counting(files.folder, 0)\n"
        f"for number in range({2 * max(_MAX_COUNTER_CHILDREN, _MAX_HISTOGRAM_CHILDREN)}):\n"
        "    route = '/interview_status/<access_key>/<anything:name>/<email>/' + str(number)\n"
        "    metrics.count_request('OPTIONS', route, 200, 1.0, 1.0)\n"
        "    metrics.count_tokens('a-model-with-a-name-of-40-characters' + str(number), 'in', 5)\n"
        "    metrics.count_model_failure(str(number))\n"
        "metrics.add_turn(1)\n"
        "print(*(file.stat().st_size for file in files.folder.iterdir()))\n"
        "files.remove()\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", counts], cwd=APP_FOLDER, capture_output=True, check=True, text=True
    )
    assert said.stdout.split() == [str(FILE_BYTES)] * 3


def test_a_set_that_is_given_back_is_taken_again(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    first, second = files.take(), files.take()
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 1)
    (tmp_path / "gauge_livesum_0.db").write_bytes(b"under way")
    (tmp_path / "counter_0.db").write_bytes(b"counted")
    first.give_back()
    assert not (tmp_path / "gauge_livesum_0.db").exists()
    again = files.take()
    assert again == first
    assert (tmp_path / "gauge_livesum_0.db").read_bytes() == bytes(FILE_BYTES)
    assert (tmp_path / "counter_0.db").read_bytes() == b"counted"
    files.remove()
    assert not tmp_path.exists()

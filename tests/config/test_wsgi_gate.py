"""What happens before Django sees a request."""

import errno
import io
import json
import re
import threading
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from config import bodies, wsgi
from config.bodies import API_MAX_BYTES, DRAIN_MAX_BYTES, Bodies
from tenancy import admission
from tenancy.admission import BODY_MAX_BYTES, Gate
from tenancy.api.viewsets import ApiViewSet
from tenancy.lanes import Lanes
from tenancy.slots import SLOTS

WAIT_SECONDS = 20.0
IMPORT = "/api/v1/collections/main/import"


class Answer:
    """What granian keeps of an answer."""

    def __call__(self, status, headers, exc_info=None):
        self.status, self.headers = status, dict(headers)


def call(path="/x", **environ):
    """Return status, headers and the chunks of an answer, which is closed."""
    answer = Answer()
    body = wsgi.application(
        {"PATH_INFO": path, "REQUEST_METHOD": "GET", "SERVER_NAME": "localhost",
         "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": io.BytesIO(),
         "wsgi.url_scheme": "http", **environ},
        answer,
    )  # fmt: skip
    chunks = list(body)
    if hasattr(body, "close"):
        body.close()
    return SimpleNamespace(status=answer.status, headers=answer.headers, body=b"".join(chunks))


@pytest.fixture
def gate(monkeypatch):
    made = Gate(seats=1, places=0, patience_seconds=WAIT_SECONDS)
    monkeypatch.setattr(wsgi, "GATE", made)
    return made


@pytest.fixture
def answers(monkeypatch):
    """Return what makes Django answer with a function's response."""

    def put(make):
        def django(environ, start_response):
            response = make(environ)
            start_response("200 OK", list(response.items()))
            return response

        monkeypatch.setattr(wsgi, "_django", django)

    return put


def test_who_finds_no_room_is_told_when_to_come_back_without_django(gate, answers):
    answers(lambda environ: pytest.fail("Django was asked"))
    seat = gate.enter()

    refused = call("/api/v1/organization")

    gate.leave(seat)
    body = json.loads(refused.body)
    assert refused.status == "503 Service Unavailable"
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["Content-Length"] == str(len(refused.body))
    assert refused.headers["X-Request-Id"] == body["request_id"] != ""
    assert (body["code"], body["status"], body["retryable"]) == ("overloaded", 503, True)
    assert body["instance"] == "/api/v1/organization"
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    assert refused.headers["X-Frame-Options"] == "DENY"


@pytest.fixture
def overloaded(gate, answers):
    """A gate that nobody gets through."""
    answers(lambda environ: pytest.fail("Django was asked"))
    seat = gate.enter()
    yield
    gate.leave(seat)


def test_a_refusal_keeps_the_well_formed_request_id_of_the_caller(overloaded):
    refused = call(HTTP_X_REQUEST_ID="Trace-1.2_3")

    assert refused.headers["X-Request-Id"] == "Trace-1.2_3"
    assert json.loads(refused.body)["request_id"] == "Trace-1.2_3"


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\nb", "\xe4", "a;b"])
def test_a_refusal_replaces_an_ill_formed_request_id(overloaded, given):
    first, second = (call(HTTP_X_REQUEST_ID=given).headers["X-Request-Id"] for _ in range(2))

    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


@pytest.mark.parametrize(
    ("raw", "path"),
    [("/org/\xc3\xbc", "/org/ü"), ("/\xe6\x97\xa5", "/日"), ("/\xff", "/%FF"), ("", "/")],
)
def test_a_refusal_names_the_path_as_every_problem_does(overloaded, raw, path):
    assert json.loads(call(raw).body)["instance"] == path


@pytest.mark.parametrize("kind", ["a; charset*=foo''x", "a; charset=base64", "a; charset=\0"])
def test_a_refusal_needs_no_content_type_that_can_be_read(overloaded, kind):
    refused = call(CONTENT_TYPE=kind, QUERY_STRING="&".join(["a=1"] * 1_001))

    assert refused.status == "503 Service Unavailable"
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


def test_health_is_told_under_any_load(gate):
    seat = gate.enter()

    assert call("/livez").status == "200 OK"

    gate.leave(seat)


@pytest.mark.parametrize("path", ["/livez", "/health"])
def test_a_process_is_alive_while_others_wait_to_learn_whether_it_can_serve(monkeypatch, path):
    full = Gate(seats=1, places=0, patience_seconds=WAIT_SECONDS)
    monkeypatch.setattr(wsgi, "HEALTH_GATE", full)
    full.enter()

    assert call("/readyz").status.startswith("503")
    assert call(path).status == "200 OK"


@pytest.mark.parametrize("has_failed", [False, True])
def test_a_seat_is_free_when_its_answer_is_made(gate, answers, has_failed):
    def make(environ):
        assert gate.in_work == 1
        if has_failed:
            raise KeyError
        return HttpResponse(b"whole")

    answers(make)
    if has_failed:
        with pytest.raises(KeyError):
            call()
    else:
        assert call().body == b"whole"

    assert gate.in_work == 0
    assert admission._here.seat is None


def test_an_answer_in_pieces_leaves_its_seat_and_keeps_its_connections_to_the_end(gate, answers):
    closed = []

    def make(environ):
        connection = SimpleNamespace(
            close=lambda: closed.append(1), close_if_unusable_or_obsolete=lambda: None
        )
        admission._here.seat.connections["default"] = connection
        return StreamingHttpResponse(pieces())

    def pieces():
        seen.append((gate.in_work, gate.beside, list(closed)))
        yield b"a"
        yield b"b"

    seen = []
    answers(make)

    assert call().body == b"ab"
    assert seen == [(0, 1, [])]
    assert (gate.in_work, gate.beside, closed) == (0, 0, [1])


def test_who_takes_a_slot_of_exports_and_imports_leaves_the_seat(gate, answers):
    def make(environ):
        slot = SLOTS.take("somebody")
        found.append((gate.in_work, gate.beside))
        slot.give_back()
        return HttpResponse()

    found = []
    answers(make)
    call()

    assert found == [(0, 1)]
    assert (gate.in_work, gate.beside) == (0, 0)


class SlowBody:
    """A body whose second half comes when it is let."""

    def __init__(self):
        self.asked, self.come = threading.Event(), threading.Event()

    def read(self, size):
        self.asked.set()
        assert self.come.wait(WAIT_SECONDS)
        return b"x" * size


def test_a_body_that_comes_slowly_keeps_nobody_out(gate, answers, monkeypatch):
    monkeypatch.setattr(wsgi, "BODIES", Bodies(1))
    answers(lambda environ: HttpResponse(environ["wsgi.input"].read()))
    slow, got = SlowBody(), []
    environ = {"CONTENT_LENGTH": "3", "wsgi.input": slow}
    sender = threading.Thread(target=lambda: got.append(call(**environ)))
    sender.start()
    assert slow.asked.wait(WAIT_SECONDS)

    assert call(path="/quick").status == "200 OK"
    one_too_many = call(CONTENT_LENGTH="3")
    slow.come.set()
    sender.join(WAIT_SECONDS)

    assert one_too_many.status.startswith("503")
    assert got[0].body == b"xxx"
    assert wsgi.BODIES.places.refused == 1


# --- Bodies that nobody reads -------------------------------------------------------------------


class Unread:
    """A body of some length that counts what is read of it, or fails."""

    def __init__(self, length, error=None):
        self.left, self.read_bytes, self.error = length, 0, error

    def read(self, size):
        if self.error is not None:
            raise self.error
        count = min(size, self.left)
        self.left -= count
        self.read_bytes += count
        return b"x" * count

    def readline(self, size):
        raise AssertionError


def send(stream, length=None, path=IMPORT):
    """Send a body that is left to the view, which here reads nothing of it."""
    given = {"CONTENT_LENGTH": str(length or stream.left), "wsgi.input": stream}
    return call(path=path, REQUEST_METHOD="POST", **given)


def test_no_more_than_a_bound_is_read_of_a_body_that_nobody_wants(gate, answers):
    answers(lambda _: HttpResponse(str(gate.in_work)))
    stream = Unread(10 * DRAIN_MAX_BYTES)

    assert send(stream).body == b"1"
    assert stream.read_bytes == DRAIN_MAX_BYTES


def test_the_seat_is_free_while_the_rest_of_a_body_is_on_its_way(gate, answers):
    answers(lambda _: HttpResponse(b"done"))
    slow, got = SlowBody(), []
    sender = threading.Thread(target=lambda: got.append(send(slow, BODY_MAX_BYTES + 1)))
    sender.start()
    assert slow.asked.wait(WAIT_SECONDS)

    assert call().status == "200 OK"

    slow.come.set()
    sender.join(WAIT_SECONDS)
    assert got[0].body == b"done"


def test_who_is_sent_away_has_its_large_body_read_and_so_gets_the_answer(gate):
    gate.enter()
    stream = Unread(BODY_MAX_BYTES + 1)

    assert send(stream).status.startswith("503")
    assert stream.left == 0


def test_a_rest_is_not_waited_for_where_too_many_send(gate, answers, monkeypatch):
    monkeypatch.setattr(wsgi, "BODIES", Bodies(0))
    answers(lambda _: HttpResponse(b"done"))

    assert send(Unread(BODY_MAX_BYTES + 1, error=AssertionError())).body == b"done"
    assert wsgi.BODIES.places.refused == 0  # nobody was: it has its answer


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), ValueError("closed")])
def test_client_that_went_away_spoils_no_answer(gate, answers, error):
    answers(lambda _: HttpResponse(b"done"))

    assert send(Unread(BODY_MAX_BYTES + 1, error=error)).body == b"done"
    assert wsgi.BODIES.places.take()
    wsgi.BODIES.places.give_back()


@pytest.mark.parametrize("length", ["", "0", "00", None])
def test_nothing_is_read_where_there_is_no_body(gate, answers, length):
    answers(lambda _: HttpResponse(b"done"))
    given = {} if length is None else {"CONTENT_LENGTH": length}

    assert call(**given, **{"wsgi.input": Unread(5, error=AssertionError())}).body == b"done"


def test_a_thread_that_refuses_a_body_does_not_rest_with_it(gate, answers, monkeypatch):
    monkeypatch.setattr(wsgi, "BODIES", Bodies(0))
    lanes, said = Lanes(1), []
    lanes.active = 1  # another one takes requests
    serve = lanes.wrap(lambda *_: said.append(call(CONTENT_LENGTH="3").status), lambda _: True)

    thread = threading.Thread(target=serve, args=(None, None), daemon=True)
    thread.start()
    thread.join(WAIT_SECONDS)

    assert said[0].startswith("503")
    assert not thread.is_alive()


def test_a_body_that_was_broken_off_is_not_taken_for_a_whole_one(gate, answers):
    answers(lambda environ: pytest.fail("Django was asked"))

    answer = call(CONTENT_LENGTH="13", **{"wsgi.input": io.BytesIO(b"password=se")})

    assert answer.status == "400 Bad Request"
    assert json.loads(answer.body)["code"] == "malformed_json"
    assert gate.in_work == 0


@pytest.mark.parametrize("size", [1, bodies.MEMORY_MAX_BYTES, bodies.MEMORY_MAX_BYTES + 1])
def test_a_large_body_is_here_before_its_request_takes_a_seat(gate, answers, size):
    taken, stream = [], Unread(size)
    read = stream.read
    stream.read = lambda count: taken.append(gate.in_work) or read(count)
    answers(lambda environ: HttpResponse(environ["wsgi.input"].read()))

    assert send(stream, path="/api/v1/collections/main/bulk").body == b"x" * size
    assert set(taken) == {0}


@pytest.mark.parametrize(
    ("method", "path", "length"),
    [("PUT", "/api/v1/collections/main/documents/import", BODY_MAX_BYTES + 1),
     ("PUT", "/api/v1/collections/main/import", BODY_MAX_BYTES + 1),
     ("POST", "/api/v1/auth/login", f"{0:024}20")],
)  # fmt: skip
def test_no_body_is_left_to_its_seat_for_its_path_or_how_its_length_is_spelled(
    gate, answers, method, path, length
):
    taken, stream = [], Unread(int(length))
    read = stream.read
    stream.read = lambda count: taken.append(gate.in_work) or read(count)
    answers(lambda environ: HttpResponse(str(len(environ["wsgi.input"].read()))))
    given = {"REQUEST_METHOD": method, "CONTENT_LENGTH": str(length), "wsgi.input": stream}

    assert call(path=path, **given).body == str(int(length)).encode()
    assert set(taken) == {0}


def test_a_large_body_that_is_broken_off_is_refused(gate, answers):
    answers(lambda environ: pytest.fail("Django was asked"))
    for size in (BODY_MAX_BYTES + 1, bodies.MEMORY_MAX_BYTES + 1):
        answer = send(Unread(size - 1), length=size, path="/api/v1/collections/main/bulk")
        assert answer.status == "400 Bad Request"


def test_a_large_body_for_which_the_disk_has_no_room_is_sent_away(gate, answers, monkeypatch):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    answers(lambda environ: pytest.fail("Django was asked"))
    monkeypatch.setattr(bodies.tempfile, "TemporaryFile", full)
    stream = Unread(bodies.MEMORY_MAX_BYTES + 1)

    assert send(stream, path="/api/v1/collections/main/bulk").status.startswith("503")


def test_what_is_larger_than_any_route_reads_is_left_to_who_refuses_it(gate, answers):
    body = io.BytesIO(b"large")
    answers(lambda environ: HttpResponse(str(environ["wsgi.input"] is body)))
    given = {"path": "/api/v1/x", "wsgi.input": body}

    assert call(CONTENT_LENGTH=str(API_MAX_BYTES + 1), **given).body == b"True"
    assert call(CONTENT_LENGTH="9" * 400, **given).body == b"True"
    assert call(CONTENT_LENGTH="many", **given).body == b"True"


def test_no_route_reads_more_than_the_largest_body():
    import_module("config.urls")
    views = [ApiViewSet]
    for view in views:
        views += view.__subclasses__()
    sizes = {getattr(view, "body_max_bytes", 0) for view in views}

    assert len(sizes) > 2
    assert max(sizes) == API_MAX_BYTES


def test_a_page_takes_no_more_than_django_would(gate, answers, settings):
    answers(lambda environ: pytest.fail("Django was asked"))
    size = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1
    stream = Unread(size)
    assert send(stream, path="/admin/login/").status.startswith("413")
    assert stream.read_bytes == DRAIN_MAX_BYTES


def test_one_address_leaves_places_to_others(gate, answers, monkeypatch):
    monkeypatch.setattr(wsgi, "BODIES", Bodies(4))
    answers(lambda environ: HttpResponse())
    slow = [SlowBody() for _ in range(3)]
    given = {"CONTENT_LENGTH": "3", "REMOTE_ADDR": "192.0.2.1"}
    senders = [threading.Thread(target=call, kwargs={**given, "wsgi.input": body}) for body in slow]
    for sender, body in zip(senders, slow, strict=True):
        sender.start()
        assert body.asked.wait(WAIT_SECONDS)

    assert call(**given).status.startswith("503")
    other = {**given, "REMOTE_ADDR": "192.0.2.2", "wsgi.input": io.BytesIO(b"abc")}
    assert call(**other).status == "200 OK"

    for sender, body in zip(senders, slow, strict=True):
        body.come.set()
        sender.join(WAIT_SECONDS)
    assert call(**{**given, "wsgi.input": io.BytesIO(b"abc")}).status == "200 OK"


def test_answers_close_their_connections_while_the_service_stops(gate, answers, monkeypatch):
    answers(lambda environ: HttpResponse())
    assert "Connection" not in call().headers

    monkeypatch.setattr(wsgi, "BOARD", SimpleNamespace(is_stopping=True))

    assert call().headers["Connection"] == "close"


def test_answers_close_connections_that_are_more_than_the_share_of_the_process(
    gate, answers, monkeypatch
):
    surplus = iter([True, False])
    answers(lambda environ: HttpResponse())
    monkeypatch.setattr(wsgi, "BALANCE", SimpleNamespace(sends_away=lambda: next(surplus)))

    assert call().headers["Connection"] == "close"
    assert "Connection" not in call().headers

"""An S3 server over plain HTTP that answers exactly what a test tells it to: cut off, late, wrong, or hostile."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """A request as it came over the wire."""

    method: str
    path: str  # still percent-encoded
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case


@dataclass
class Answer:
    """What goes back; *send* bytes of the body are sent before the connection is cut (None: all)."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    send: int | None = None


def an_object(body: bytes, *, etag: str = "v1", send: int | None = None, **headers: str) -> Answer:
    base = {"ETag": f'"{etag}"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    return Answer(200, body, base | {name.replace("_", "-"): value for name, value in headers.items()}, send)


class AwkwardS3:
    """`respond(asked)` makes every answer; `asked` collects the requests."""

    def __init__(self, respond: Callable[[Asked], Answer]) -> None:
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, url.path, query, headers)
                outer.asked.append(asked)
                answer = respond(asked)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body[: answer.send])
                self.close_connection = answer.send is not None

            do_GET = do_HEAD = do_PUT = do_DELETE = _serve  # noqa: N815 - the base class finds them by these names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Generator["AwkwardS3", None, None]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def a_page(keys: list[str], *, token: str | None = None, encoding: str = "url") -> Answer:
    """A ListObjectsV2 answer; *keys* as they stand in the XML."""
    rows = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.999Z</LastModified><ETag>&quot;{index}&quot;</ETag>"
        f"<Size>{index}</Size></Contents>"
        for index, key in enumerate(keys)
    )
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    kind = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    text = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{kind}{more}{rows}</ListBucketResult>'
    return Answer(200, text.encode())


def an_error(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code></Error>".encode())

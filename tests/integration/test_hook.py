"""What SeaweedFS reports by itself arrives at the hook as the keys that S3 shows."""

import threading
from pathlib import Path

from fondaco.local.weed import SeaweedFS, WebhookTarget
from fondaco.web.app import create_app
from fondaco.web.serve import serve
from fondaco.web.site import Hook, ServedRepository, Site
from tests.cvmfs.stores.memory import MemoryStore
from tests.integration.conftest import stock_s3_client
from tests.integration.shared import S3Server

DEADLINE_SECONDS = 30.0
TOKEN = "shared with the store"
FQRN = "hook.example.org"


class Marks:
    """What the hook marked, in the order of the reports."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def mark(self, bucket: str, keys: frozenset[str]) -> int:
        with self._changed:
            self.found += [(bucket, key) for key in sorted(keys)]
            self._changed.notify_all()
        return len(keys)

    def wait_for(self, key: str) -> list[tuple[str, str]]:
        """All marks once *key* is among them, which are then forgotten."""
        with self._changed:
            came = self._changed.wait_for(lambda: key in [one for _, one in self.found], DEADLINE_SECONDS)
            assert came, f"{key!r} was not reported, only {self.found}"
            found, self.found = self.found, []
        return found


def test_what_a_stock_client_does_is_marked_key_by_key(tmp_path: Path) -> None:
    marks = Marks()
    served = ServedRepository(fqrn=FQRN, store=MemoryStore(), bucket="repo")
    site = Site(repositories={FQRN: served}, hook=Hook(token=TOKEN, mark=marks.mark))
    with serve(create_app(site)) as address:
        webhook = WebhookTarget(url=f"{address.url}/hooks/s3", token=TOKEN)
        with SeaweedFS(tmp_path / "s3", webhook=webhook, buckets=["repo", "other"]) as weed:
            client = stock_s3_client(
                S3Server(
                    name="seaweedfs", endpoint=weed.endpoint, access_key=weed.access_key, secret_key=weed.secret_key
                )
            )
            awkward = "cvmfs/dir with space/naïve+file%20\n.txt"
            client.put_object(Bucket="other", Key="cvmfs/elsewhere", Body=b"x")
            client.put_object(Bucket="repo", Key=awkward, Body=b"x")
            assert marks.wait_for(awkward) == [("repo", awkward)]
            client.put_object(Bucket="repo", Key=awkward, Body=b"xy")
            assert marks.wait_for(awkward) == [("repo", awkward)]
            client.put_object(Bucket="repo", Key="cvmfs/empty/", Body=b"")
            assert marks.wait_for("cvmfs/empty/") == [("repo", "cvmfs/empty/")]
            client.delete_object(Bucket="repo", Key="cvmfs/empty/")
            assert marks.wait_for("cvmfs/empty/") == [("repo", "cvmfs/empty/")]
            upload = client.create_multipart_upload(Bucket="repo", Key="cvmfs/parts")["UploadId"]
            part = {"Bucket": "repo", "Key": "cvmfs/parts", "UploadId": upload}
            tag = client.upload_part(**part, PartNumber=1, Body=b"x")["ETag"]
            client.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
            assert marks.wait_for("cvmfs/parts") == [("repo", "cvmfs/parts")]
            client.delete_objects(Bucket="repo", Delete={"Objects": [{"Key": awkward}, {"Key": "cvmfs/parts"}]})
            assert marks.wait_for("cvmfs/parts")[-1:] == [("repo", "cvmfs/parts")]

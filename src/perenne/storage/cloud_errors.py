"""What a cloud's refusal means for a person. Its own words are not passed on: they may repeat keys and signatures."""

import re

from perenne.core.errors import PerenneError, Unavailable
from perenne.storage.buckets import Bucket, endpoint_of
from perenne.storage.object_errors import missing

_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")

_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "AllAccessDisabled"}
_WRONG_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or the role of this machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or the service account of this machine",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or the identity of this machine",
}
_ABOUT_CREDENTIALS = re.compile(r"credential|service account|Account must be specified", re.IGNORECASE)
_GIVING_OUT_CREDENTIALS = ("/latest/api/token", "/latest/meta-data", "metadata.google.internal", "/metadata/identity")


def cloud_refusal(bucket: Bucket, error: BaseException, digest: str = "") -> PerenneError:
    """Return what to raise for an error of the client: NotFound if only the object is missing, else Unavailable.

    Parameters
    ----------
    digest : str
        The object that was asked for, if the question was about one.
    """
    text = str(error)
    code = found[1] if (found := _CODE.search(text)) else ""
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    if code in _NO_BUCKET:
        return _unavailable(
            f"there is no bucket {bucket.url}", "make the bucket, or correct PERENNE_OBJECTS; `perenne doctor` tries it"
        )
    if any(part in text for part in _GIVING_OUT_CREDENTIALS) or (not status and _ABOUT_CREDENTIALS.search(text)):
        return _unavailable(f"there are no credentials for {bucket.url}", f"set {_CREDENTIALS[bucket.scheme]}")
    if isinstance(error, FileNotFoundError) and digest:
        return missing(digest)
    if code in _WRONG_REGION or status == 301:
        return _unavailable(f"{bucket.url} lies in another region ({code or status})", "set AWS_REGION to the bucket's")
    if status in {401, 403}:
        return _unavailable(
            f"{bucket.url} refuses these credentials ({code or status})",
            f"they must allow to list, read, write and delete there: {_CREDENTIALS[bucket.scheme]}",
        )
    return _unavailable(*_network(bucket, text, f"{status} {code}".strip() if status else ""))


def _network(bucket: Bucket, text: str, answer: str) -> tuple[str, str]:
    endpoint = endpoint_of(bucket.scheme)
    where = "is the network there?" + (" is the endpoint of the environment right?" if endpoint else "")
    if answer:
        return f"{bucket.url} answers {answer}", "the store has trouble of its own; try again later"
    if "dns error" in text:
        return f"the address of {bucket.url} is not known", where
    if "kind: Connect" in text:
        return f"{bucket.url} cannot be reached", where
    if "kind: Timeout" in text or "TimedOut" in text:
        return f"{bucket.url} does not answer in time", where
    return f"{bucket.url} cannot be used", f"{where} `perenne doctor` tries it"


def _unavailable(message: str, hint: str) -> Unavailable:
    return Unavailable(message, code="objects.unavailable", hint=hint)

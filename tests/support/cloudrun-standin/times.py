# SPDX-License-Identifier: Apache-2.0
"""google.protobuf.Timestamp and Duration as JSON has them."""
import datetime
import re

from status import Refused


def now_text():
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def seconds_of(text, where):
    if not isinstance(text, str) or not re.fullmatch(r"\d+(\.\d{1,9})?s", text):
        raise Refused("INVALID_ARGUMENT",
                      f"Invalid value at '{where}' "
                      f"(type.googleapis.com/google.protobuf.Duration), {text!r}")
    return float(text[:-1])

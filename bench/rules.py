"""The same wishes twice: as a Sieve script, and as a consumer's interests.

Every rule must look at the whole text, for what is not wanted may stand in its last line.
"""

import json

USERS = ("anna", "bram")
WANTED = ("pruner", "secateurs", "hedge trimmer", "watering can", "potting soil")
UNWANTED = ("chainsaw", "leaf blower", "pesticide")


def _mentions(words: tuple[str, ...]) -> str:
    """A Sieve test (RFC 5228, RFC 5173) for any of the words in subject or text."""
    strings = json.dumps(words)
    return f'anyof (header :contains "subject" {strings}, body :text :contains {strings})'


SIEVE = f"""\
require ["fileinto", "mailbox", "body", "reject"];
if {_mentions(UNWANTED)} {{
    reject "This names something that is not wanted here.";
}} elsif {_mentions(WANTED)} {{
    fileinto :create "wanted";
}} else {{
    reject "Nobody here has asked for this.";
}}
"""

PEOPLE = """\
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["{vendor}"]
""" + "".join(
    f"""
[[consumer]]
id = "{user}"
addresses = ["{user}@letterbox.example"]

  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["newsletter"]

  [[consumer.interest]]
  id = "garden"
  keywords = {{{{ any = {json.dumps(WANTED)}, none = {json.dumps(UNWANTED)} }}}}
"""
    for user in USERS
)

"""An advertisement that tells its sender of its reader, as real ones do."""

from email.message import EmailMessage

from tests.support.house import signed

PIXEL = '<img src="https://track.greenleaf.example/o/1" width="1" height="1">'
LINK = '<a href="https://greenleaf.example/pruners?mc_eid=9f2c41">Pruners</a>'
LEAVE = '<a href="https://greenleaf.example/unsubscribe?e=9f2c41">Afmelden</a>'


def advert() -> bytes:
    """A mail of greenleaf's to anna: a pixel, a link with her number, a link to unsubscribe."""
    message = EmailMessage()
    message["From"] = "Shop <shop@greenleaf.example>"
    message["To"] = "anna@letterbox.example"
    message["Subject"] = "Pruners"
    message["Message-ID"] = "<1@greenleaf.example>"
    message["Letterbox-Kind"] = "service"
    message.set_content("Pruners: https://greenleaf.example/pruners?mc_eid=9f2c41")
    message.add_alternative(f"<p>{LINK} {LEAVE}{PIXEL}</p>", subtype="html")
    return signed(message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

"""XMP packets: how a result was made, said in the packet of its photo or in a new one.

XMP (ISO 16684-1) is RDF in XML; a packet may hold any number of descriptions of one file, so that ours stands
beside what others wrote and none of that is touched.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, unescape

NAMESPACE = "urn:mattelike#"

_OURS = re.compile(
    rb'<rdf:Description rdf:about="[^"]*" xmlns:mattelike="urn:mattelike#"><mattelike:settings>(.*?)'
    rb"</mattelike:settings></rdf:Description>",
    re.DOTALL,
)
_ABOUT = re.compile(rb'rdf:about="([^"]*)"')
_END = b"</rdf:RDF>"
# A packet has a fixed begin and this id (ISO 16684-1, section 7.3.2).
_NEW = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def with_settings(packet: bytes | None, settings: str) -> bytes:
    """A packet that says how a result was made, in place of what an earlier result said.

    Args:
        packet: Of the photo; None for a photo without one.
        settings: Any text.

    Returns:
        The packet; the photo's own unchanged where it is none of those that can be added to (UTF-8,
        with the prefix ``rdf``), as nearly all are.
    """
    packet = _NEW if packet is None else packet
    rest = _OURS.sub(b"", packet)
    before, end, after = rest.rpartition(_END)
    if not end:
        return packet
    about = _ABOUT.search(rest)
    ours = (
        b'<rdf:Description rdf:about="%s" xmlns:mattelike="%s"><mattelike:settings>%s</mattelike:settings>'
        b"</rdf:Description>"
    ) % (about.group(1) if about else b"", NAMESPACE.encode(), escape(settings).encode())
    return before + ours + end + after


def settings_of(packet: bytes | None) -> str:
    """What `with_settings` put into a packet; empty where there is nothing."""
    found = _OURS.search(packet or b"")
    return unescape(found.group(1).decode()) if found else ""

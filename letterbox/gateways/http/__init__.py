"""The HTTP gateway: the API of vendors and consumers, and the public pages."""

from letterbox.gateways.http.gateway import AdminGateway, HttpGateway
from letterbox.gateways.http.parts import Parts

__all__ = ["AdminGateway", "HttpGateway", "Parts"]

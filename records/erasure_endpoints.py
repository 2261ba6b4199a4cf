"""The endpoints that erase people, and that keep them from being erased."""

from flask import Blueprint, Response, jsonify

from access.guard import key_needed
from db import Receipt, as_clients_read
from web.bodies import Json, checked
from web.fields import MAX_HOLD_CHARS, interview_of_path, subject_of_hold
from web.service import service

erasures = Blueprint("erasures", __name__)


@erasures.delete("/interviews/<access_key>/<anything:name>/<email>")
@key_needed
def erase_interview(access_key: str, name: str, email: str) -> Json | tuple[Response, int]:
    """Erase an applicant, and answer with the receipt.

    The status is 200 once not a byte is left in the database's files, and 202 where that takes
    longer than a request may.
    """
    from records.erasing import erase

    (interview,) = interview_of_path(access_key, name, email)
    receipt = erase(service().database, interview)
    if receipt.wiped_at is None:
        return jsonify(receipt_json(receipt)), 202
    return receipt_json(receipt)


@erasures.post("/legal_hold")
@key_needed
def legal_hold() -> Json:
    """Set a legal hold on an interview or a position, or end it."""
    from records.hold_bodies import HoldBody
    from records.holds import end_hold, hold

    access_key, interview, fields = subject_of_hold(MAX_HOLD_CHARS)
    body = checked(HoldBody, fields)
    database = service().database
    if not body.hold:
        end_hold(database, access_key, interview, body.reason, body.reviewer)
        return {"status": "success", "legal_hold": None}
    held = hold(database, access_key, interview, body.reason, body.reviewer)
    return {
        "status": "success",
        "legal_hold": {
            "access_key": held.access_key,
            "name": held.name or None,
            "email": held.email or None,
            "reason": held.reason,
            "reviewer": held.held_by,
            "created_at": as_clients_read(held.created_at),
        },
    }


def receipt_json(receipt: Receipt) -> Json:
    """Return a receipt as clients read it."""
    return {
        "receipt_id": receipt.receipt_id,
        "erased_at": as_clients_read(receipt.erased_at),
        "rows": receipt.rows,
        "digest": receipt.interview,
    }

"""Routes for the caller's own sessions."""

from uuid import UUID

from apiflask import APIBlueprint

from auth.schemas.sessions import OwnSession, OwnSessionList, SessionOut
from auth.use_cases import sessions
from shared.context import require_caller
from shared.database import Database


def session_routes(database: Database) -> APIBlueprint:
    """Return the routes for the caller's own sessions."""
    routes = APIBlueprint("sessions", __name__)

    @routes.get("/auth/sessions")
    @routes.output(OwnSessionList)
    def list_own_sessions() -> OwnSessionList:
        """List one's own live sessions."""
        caller = require_caller()
        found = [SessionOut.model_validate(each) for each in sessions.list_own_sessions(database, caller)]
        return OwnSessionList(
            data=[OwnSession(**each.model_dump(), current=str(each.id) == caller.session) for each in found]
        )

    @routes.delete("/auth/sessions/<uuid:session_id>")
    @routes.output({}, status_code=204)
    def end_own_session(session_id: UUID) -> tuple[str, int]:
        """End one of one's own sessions; all services refuse its tokens within five seconds."""
        sessions.end_own_session(database, require_caller(), session_id)
        return "", 204

    return routes

"""Many at once with one code, in a process of the product: for whatever catalog it has."""

import base64
import json
import threading
import time

import time_machine
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.utils import timezone
from django_otp.oath import hotp

from accounts import recovery_codes
from accounts.authenticators import confirm_authenticator, enable, offer_authenticator
from accounts.exceptions import TwoFactorInvalid
from accounts.models import TotpDevice, User
from accounts.two_factor import spend
from tenancy.exceptions import AlreadyExists, NotFound
from tests.patience import wait_long_for_locks

THREADS = 16
SECONDS = 60
REFUSALS = (TwoFactorInvalid, AlreadyExists, NotFound)


def code_of(secret, steps=0):
    """Return the code of an authenticator now, or so many steps later."""
    return f"{hotp(base64.b32decode(secret), int(time.time()) // 30 + steps):06}"


def at_once(act):
    """Return what each of many threads gets: "good", the name of a refusal, or what went wrong."""
    barrier, answers = threading.Barrier(THREADS), []

    def run():
        barrier.wait(SECONDS)
        try:
            answers.append("good" if act() else "refused")
        except REFUSALS:
            answers.append("refused")
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test shows it
            answers.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    return {answer: answers.count(answer) for answer in sorted(set(answers))}


def make_user(name):
    return User.objects.create(email=f"{name}@example.com", password=make_password(None))


def run():
    """Return, as JSON, what came of each race."""
    wait_long_for_locks()
    user = make_user("race")
    offer = offer_authenticator(user)
    codes = enable(offer.device, by="command:test")
    code = code_of(offer.secret)
    report = {
        "recovery_code": at_once(lambda: recovery_codes.use_code(user.pk, codes[0])),
        "code": at_once(lambda: spend(user, code)),
    }
    TotpDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    wrong = "000000" if code_of(offer.secret, 1) != "000000" else "000001"
    with time_machine.travel(timezone.now(), tick=False):
        report["guess"] = at_once(lambda: spend(user, wrong))
    report["guesses_counted"] = TotpDevice.objects.get(user=user).throttling_failure_count
    other = make_user("other")
    first = code_of(offer_authenticator(other).secret)
    report["confirm"] = at_once(lambda: confirm_authenticator(other, first))
    report["codes_of_other"] = recovery_codes.codes_left(other.pk)
    return json.dumps(report)

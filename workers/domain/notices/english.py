"""Every text in English. A line that begins with "- " is an item of a list."""

from typing import Final

ENGLISH: Final[dict[str, str]] = {
    # ---- words
    "place.card": "your card",
    "place.paypal": "your PayPal account",
    "place.wallet": "your wallet",
    "moment": "{date} at {time} (UTC)",
    # ---- an order was cancelled: the client
    "cancelled.client.subject": "Your order was cancelled",
    "cancelled.client.client": "Your order was cancelled, as you asked.",
    "cancelled.client.seller": "Your order was cancelled by the seller.",
    "cancelled.client.support": "Your order was cancelled by our support team.",
    "cancelled.client.system": "Your order was cancelled automatically.",
    "back": "{total} goes back to you. This happens automatically, you don't need to do anything:",
    "back.card": "- {amount} to your card. Banks take 3 to 5 business days to show it: normally by {date}.",
    "back.paypal": "- {amount} to your PayPal account, where it shows almost at once.",
    "back.wallet": "- {amount} to your wallet, where it shows almost at once.",
    "back.elsewhere": "- {amount} by another way than your original payment.",
    "back.nothing": "No money was held for this order any more, so nothing goes back to you.",
    # ---- the chat
    "chat.until": "You can still write to each other: the chat stays open until {close}, then it closes.",
    "chat.days": "You can still write to each other: the chat stays open for {days} days, until {close}, then it "
    "closes.",
    "chat.open": "The chat stays open, because there is a newer order in this conversation.",
    "chat.over": "The chat closed on {close}.",
    "chat.soon.subject": "Your chat closes soon",
    "chat.soon.client": "The chat about your cancelled order closes on {close}.",
    "chat.soon.client.then": "If you still want to settle something with the seller, or to order from them again, "
    "write to them before then. With a new order the chat stays open.",
    "chat.soon.seller": "The chat about a cancelled order closes on {close}. After that you can't write to the client "
    "there any more. With a new order the chat stays open.",
    "chat.stays.subject": "Your chat stays open",
    "chat.stays.person": "The chat about your cancelled order stays open and doesn't close as announced.",
    "chat.later.subject": "Your chat stays open longer",
    "chat.later": "The chat about your cancelled order stays open longer than announced: until {close}. Then it "
    "closes.",
    "chat.stays": "There is a newer order in this conversation, so the chat stays open and doesn't close as announced.",
    # ---- an order was cancelled: the seller
    "cancelled.seller.subject": "An order was cancelled",
    "cancelled.seller.client": "An order was cancelled by the client.",
    "cancelled.seller.seller": "An order was cancelled, as you asked.",
    "cancelled.seller.support": "An order was cancelled by our support team.",
    "cancelled.seller.system": "An order was cancelled automatically.",
    "seller.stop": "The collaboration on this order stops here: please don't work on it any further. It can't be "
    "accepted, delivered or completed any more.",
    "seller.back": "The client's money goes back automatically, you don't need to do anything. If the client asks "
    "about the refund, you can answer:",
    "seller.back.fast": "- To the wallet or PayPal it shows almost at once.",
    "seller.back.card": "- To a bank card it can take 3 to 5 business days to show.",
    "seller.back.nothing": "No money was held for this order any more, so nothing has to go back to the client.",
    "seller.unpaid": "Unfortunately you can't be paid for this order any more, even if you had already worked on it.",
    "advice.before": "If you have done the work already, act quickly: talk to the client before the chat closes.",
    "advice.talk": "If you have done the work already, talk to the client.",
    "advice.order": "- Propose a new order that matches the work done, or a custom offer at the right price.",
    "advice.clarify": "- Clarify first what each of you expects, so that it doesn't end in another cancellation.",
    "statistics.acceptance": "Every cancellation counts in your statistics, whoever's fault it is: this one affects "
    "your acceptance rate.",
    "statistics.completion": "Every cancellation counts in your statistics, whoever's fault it is: this one affects "
    "your completion rate.",
    "help": "More about cancellations and your statistics: {url}",
    # ---- refunds
    "refunded.subject": "Your refund of {amount}",
    "refunded.card": "{amount} was refunded to your card. Your bank can take 3 to 5 business days to show it: you will "
    "see it by {date}.",
    "refunded.paypal": "{amount} was refunded to your PayPal account. You will see it there almost at once.",
    "refunded.wallet": "{amount} was refunded to your wallet. You will see it there almost at once.",
    "elsewhere": "{amount} of your cancelled order was returned to you by another way than your original payment.",
    "nothing_to_do": "You don't need to do anything.",
    "redirected.subject": "Your refund goes to your wallet",
    "redirected": "{amount} could not be returned to {place}. It goes to your wallet instead, and we will write to you "
    "as soon as it is there. You don't need to do anything.",
    "bounced.subject": "Correction: your refund came back to us",
    "bounced.told": "On {date} we told you that {amount} was refunded to {place}. That payment has since come back to "
    "us, so you don't have the money yet. We are sorry about that.",
    "bounced.untold": "{amount} could not be credited to {place}: the payment came back to us. We are sorry about "
    "that.",
    "bounced.next": "We will get it to you another way, and write to you as soon as that is done. You don't need to do "
    "anything.",
    "review.subject": "Your refund takes longer than planned",
    "review": "Returning {amount} to {place} takes longer than planned. Someone from our team is looking into it and "
    "we will write to you as soon as it is done. You don't need to do anything.",
    "order_refunded.subject": "The client was refunded",
    "order_refunded": "All that was held for the cancelled order, {amount}, was refunded to the client. If the client "
    "asks about it, you can answer:",
    "order_refunded.card": "- What went back to a card shows on the account by {date}; banks can take 3 to 5 business "
    "days.",
    "order_refunded.fast": "- What went back to the wallet or PayPal shows almost at once.",
    "order_refunded.elsewhere": "- Part of it was returned by another way than the original payment.",
    "order_bounced.subject": "Correction: the client's refund came back to us",
    "order_bounced": "On {date} we told you that the client was refunded. Part of that, {amount}, has since come back "
    "to us. We will get it to the client another way; neither of you needs to do anything. If the client asks, you can "
    "say just that.",
    # ---- what was refused
    "reactivation.subject": "A cancelled order can't be reactivated",
    "reactivation": "Somebody asked to reactivate a cancelled order. That isn't possible: the money that was held for "
    "the order goes back to the client when it is cancelled, so there is nothing left to carry it out with.",
    "reactivation.client": "If you would like to work together again, place a new order, and clarify with the seller "
    "first what each of you expects.",
    "reactivation.seller": "If you would like to work together again, invite the client to place a new order, and "
    "clarify first what each of you expects.",
    "refused.subject": "The order was already cancelled",
    "refused.accepted": "You accepted an order that was cancelled before. The acceptance doesn't count, because a "
    "cancellation ends the collaboration: please don't work on this order.",
    "refused.delivered": "You delivered work for an order that was cancelled before. The delivery doesn't count, "
    "because a cancellation ends the collaboration: please don't work on this order any further.",
    "refused.completed": "An order was marked as completed, but it was cancelled before. The completion doesn't count, "
    "because a cancellation ends the collaboration.",
    "not_cancelled.subject": "Your order could not be cancelled",
    "not_cancelled": "Your order could not be cancelled: it was completed before, and the money held for it is meant "
    "for the seller. Our support team is looking at it. You don't need to do anything.",
    # ---- payouts
    "payout.subject": "Your payout was refused",
    "payout": "Your payout of {amount} could not be made.",
    "payout.order_cancelled": "The order was cancelled, and what was held for it goes back to the client. "
    "Unfortunately you can't be paid for it any more, even if you had already worked on it.",
    "payout.not_completed": "The order isn't known to be completed yet. Once the client has accepted your delivery, "
    "the payout can be asked for again.",
    "payout.held_for_review": "A cancellation of this order came after its completion, so someone from our team has to "
    "look at it first. You don't need to do anything for now.",
    "payout.already_allowed": "A payout for this order was allowed before, and an order is paid once. If you miss that "
    "money, please contact our support team.",
    # ---- advice to a seller who is above the others' average
    "above.subject": "Your cancellations are above the other sellers' average",
    "above.many": "Of your {closed} orders that were completed or cancelled in the {days} days up to {date}, "
    "{cancelled} were cancelled: {rate}.",
    "above.one": "Of your {closed} orders that were completed or cancelled in the {days} days up to {date}, "
    "{cancelled} was cancelled: {rate}.",
    "above.only": "Your only order that was completed or cancelled in the {days} days up to {date} was cancelled: "
    "{rate}.",
    "above.average": "The average of the other sellers is {average}. Chance weighs more where there are few orders; "
    "even taking it into account, your rate is at least {lower} (the lower bound of the {sure} confidence interval), "
    "which is above that average.",
    "above.counts": "Every cancellation counts, whoever's fault it is. Still, cancellations should stay rare where the "
    "service is well structured and you and the client understand each other. So it is worth reviewing how you sell:",
    "above.describe": "- Write a clear and detailed description of your service, one that leaves no room for "
    "misunderstandings.",
    "above.provide": "- Say exactly what the client must provide before you begin to work.",
    "above.ask": "- Ask all the questions you need answered while the order awaits your acceptance (the step “En "
    "attente de validation”).",
    "above.clarify": "- Clarify what is expected, and check that the client has understood what they are buying.",
    "above.deliver": "- Deliver complete work that is as agreed, and always check it once more before you deliver: "
    "a delivery that is incomplete or inexact can lead to a cancellation.",
    "above.cancelled": "If an order is cancelled all the same, the chat stays open for some days.",
    "above.again": "You get this message when your rate comes to be above the average, and at most once in {days} "
    "days.",
}

// Small things that pages do where scripts run; without them every page still works.
"use strict";

// Say when the service does not answer, and when it does again.
const offline = document.getElementById("offline");
const events = document.getElementById("events");
if (offline && events) {
  events.addEventListener("htmx:sse:error", () => { offline.hidden = false; });
  events.addEventListener("htmx:sse:close", (event) => {
    offline.hidden = event.detail.reason !== "ended";
  });
  events.addEventListener("htmx:sse:after:message", () => { offline.hidden = true; });
}

// A form that takes a while says so, and is sent once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.getAttribute("aria-busy") === "true") return event.preventDefault();
  form.setAttribute("aria-busy", "true");
  setTimeout(() => form.removeAttribute("aria-busy"), 4000);
});

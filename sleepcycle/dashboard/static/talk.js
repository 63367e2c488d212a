// Show answers while they are written; without scripts the form does the same, whole.
"use strict";

const say = document.getElementById("say");
const stop = document.getElementById("stop");
const fault = document.getElementById("say-fault");

say.addEventListener("submit", (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
  if (!stop.hidden) return;
  answerAll().catch((error) => tell(error.message));
});

say.elements.message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) say.requestSubmit();
});

function tell(text) {
  fault.textContent = text;
  fault.hidden = !text;
}

// What one version was asked and answered so far, as its API wants it.
function messagesOf(turns, name, said) {
  const told = [];
  for (const turn of turns) {
    for (const one of turn.answers.filter((answer) => answer.name === name)) {
      told.push({ role: "user", content: turn.said });
      told.push({ role: "assistant", content: one.text });
    }
  }
  return [...told, { role: "user", content: said }];
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

async function answerAll() {
  const fields = say.elements;
  const said = fields.message.value;
  if (!said.trim()) return;
  tell("");
  const turns = JSON.parse(fields.conversation.value || "[]");
  const names = fields.versions.value.split(",");
  const place = document.getElementById("turns");
  place.querySelector(".empty")?.remove();
  const turn = element("article", "turn", "");
  turn.append(element("h2", "said words", said));
  const beside = element("div", "beside", "");
  turn.append(beside);
  place.append(turn);
  const given = new AbortController();
  stop.onclick = () => given.abort();
  stop.hidden = false;
  try {
    const asked = names.map((name) => {
      const card = element("section", "card", "");
      card.append(element("p", "muted", name));
      const shown = element("p", "answer words", "…");
      card.append(shown);
      beside.append(card);
      const messages = messagesOf(turns, name, said);
      return answerOf(name, messages, fields.keep?.checked, shown, given.signal);
    });
    const answers = await Promise.all(asked);
    turns.push({ said, answers });
    fields.message.value = "";
    await showWhole(JSON.stringify(turns), fields.versions.value);
  } catch (error) {
    turn.remove();
    if (error.name !== "AbortError") throw error;
  } finally {
    stop.hidden = true;
    fields.message.focus();
  }
}

// One answer, shown while it comes.
async function answerOf(name, messages, store, shown, signal) {
  const asked = { model: name, temperature: 0, stream: true };
  const made = { name, version: name, text: "", completion: "", cut_off: false };
  let answer = await post("/v1/chat/completions", { ...asked, messages, store: Boolean(store) }, signal);
  if (!answer.ok) {
    const { error } = await answer.json();
    if (error.code !== "no_chat_template") throw new Error(error.message);
    const prompt = messages.at(-1).content; // such a base goes on from a text
    answer = await post("/v1/completions", { ...asked, prompt }, signal);
    if (!answer.ok) throw new Error((await answer.json()).error.message);
  }
  let rest = "";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) take(line, made);
    shown.textContent = made.text || "…";
  }
  return made;
}

function post(address, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return fetch(address, { method: "POST", headers, body: JSON.stringify(body), signal });
}

function take(line, made) {
  if (!line.startsWith("data: ") || line === "data: [DONE]") return;
  const part = JSON.parse(line.slice(6));
  if (part.error) throw new Error(part.error.message);
  made.version = part.model;
  made.completion = part.id;
  for (const choice of part.choices) {
    made.text += choice.text ?? choice.delta?.content ?? "";
    made.cut_off ||= choice.finish_reason === "length";
  }
}

// The server shows the conversation, with all that can be done with an answer.
async function showWhole(conversation, versions) {
  const answer = await fetch("/talk/turns", {
    method: "POST",
    headers: { Accept: "text/html" },
    body: new URLSearchParams({ conversation, versions }),
  });
  if (!answer.ok) throw new Error("The conversation is too long; begin a new one.");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.getElementById("turns").replaceWith(page.getElementById("turns"));
  say.elements.conversation.value = conversation;
}

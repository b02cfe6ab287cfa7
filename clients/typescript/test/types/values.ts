// What TypeScript makes of the client: compiled, never run. Each line with @ts-expect-error must be an error.
import { z } from "zod";

import { connect } from "lockgate";
import type { ValueOf } from "lockgate";
import { useLockgate } from "lockgate/react";

const gate = connect("http://127.0.0.1:8700");
const request = { model: "m", messages: [] };

const schema = {
  type: "object",
  properties: { name: { type: "string" }, ages: { type: "array", items: { type: ["integer", "null"] } }, kind: { enum: ["a", "b"] } },
  required: ["name", "kind"],
} as const;
const written: ValueOf<typeof schema> = { name: "Ada", kind: "a", ages: [36, null] };
// @ts-expect-error: not one of the enum
const wrong: ValueOf<typeof schema> = { name: "Ada", kind: "c" };

const fromJsonSchema = await (await gate.generate(request, { schema })).result();
fromJsonSchema.name.toUpperCase();
// @ts-expect-error: may be missing
fromJsonSchema.ages.length;

const Person = z.object({ name: z.string() });
const people = await gate.generate(request, { schema: z.object({ people: z.array(Person) }), elements: "/people" });
(await people.result()).people[0]?.name.toUpperCase();
for await (const person of people.elements({ schema: Person })) person.name.toUpperCase();
// @ts-expect-error: a value that grows may lack it
for await (const growing of people.snapshots()) growing.people.length;
for await (const piece of people.text({ signal: AbortSignal.timeout(1000) })) piece.toUpperCase();

const { value, cancel } = useLockgate<{ people: string[] }>(gate);
value?.people.length;
await cancel();

export { wrong, written };

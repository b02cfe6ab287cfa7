// Schemas that callers have: a JSON Schema, or an object of a library that speaks Standard Schema (zod, valibot, ArkType).

import { ValueError } from "./errors.js";

/**
 * What all such libraries share (https://standardschema.dev): how a value is checked, and of newer ones the JSON Schema.
 *
 * @template [T=unknown]
 * @typedef {{readonly "~standard": {
 *   readonly version: 1,
 *   readonly vendor: string,
 *   readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>,
 *   readonly types?: {readonly input: any, readonly output: T} | undefined,
 *   readonly jsonSchema?: {readonly input: (options: any) => Record<string, unknown>} | undefined,
 * }}} StandardSchema
 */

/**
 * @template T
 * @typedef {{readonly value: T, readonly issues?: undefined} | {readonly issues: readonly {readonly message: string}[]}} StandardResult
 */

/** @typedef {boolean | {readonly [keyword: string]: any}} JsonSchema */

/**
 * The type of the values of a schema: what its library says, or what can be read from a JSON Schema that was written
 * down as a constant. What cannot be read is `unknown`.
 *
 * @template S
 * @typedef {S extends StandardSchema<infer T> ? T
 *   : S extends {readonly const: infer C} ? C
 *   : S extends {readonly enum: readonly (infer E)[]} ? E
 *   : S extends {readonly anyOf: readonly (infer A)[]} ? ValueOf<A>
 *   : S extends {readonly oneOf: readonly (infer A)[]} ? ValueOf<A>
 *   : S extends {readonly type: infer N} ? ValueOfType<S, N extends readonly (infer M)[] ? M : N>
 *   : unknown} ValueOf
 */

/**
 * @template S
 * @template N
 * @typedef {N extends "string" ? string
 *   : N extends "number" | "integer" ? number
 *   : N extends "boolean" ? boolean
 *   : N extends "null" ? null
 *   : N extends "array" ? (S extends {readonly items: infer I} ? ValueOf<I>[] : unknown[])
 *   : N extends "object" ? ObjectOf<S>
 *   : unknown} ValueOfType
 */

/**
 * @template S
 * @typedef {S extends {readonly properties: infer P}
 *   ? Flat<{-readonly [K in keyof P as K extends RequiredOf<S> ? K : never]: ValueOf<P[K]>}
 *     & {-readonly [K in keyof P as K extends RequiredOf<S> ? never : K]?: ValueOf<P[K]>}>
 *   : Record<string, unknown>} ObjectOf
 */

/**
 * @template S
 * @typedef {S extends {readonly required: readonly (infer R)[]} ? R : never} RequiredOf
 */

/**
 * @template T
 * @typedef {{[K in keyof T]: T[K]}} Flat
 */

/**
 * A value that is still growing: members may be missing, arrays may be shorter.
 *
 * @template T
 * @typedef {T extends readonly (infer E)[] ? Growing<E>[] : T extends object ? {[K in keyof T]?: Growing<T[K]>} : T} Growing
 */

/**
 * @param {unknown} schema
 * @returns {StandardSchema["~standard"] | undefined}
 */
function standardOf(schema) {
  // Some libraries' schemas are functions.
  const isObject = (typeof schema === "object" && schema !== null) || typeof schema === "function";
  return isObject ? /** @type {any} */ (schema)["~standard"] : undefined;
}

/**
 * The JSON Schema of a schema.
 *
 * @param {StandardSchema<any> | JsonSchema} schema
 * @returns {JsonSchema}
 * @throws {TypeError} its library does not say
 */
export function jsonSchemaOf(schema) {
  const standard = standardOf(schema);
  if (standard === undefined) return /** @type {JsonSchema} */ (schema);
  if (standard.jsonSchema === undefined) {
    throw new TypeError(
      `${standard.vendor} does not say what the JSON Schema is; make it with its own function (z.toJSONSchema …), give ` +
        "that to generate(), and the schema itself to result()",
    );
  }
  return standard.jsonSchema.input({ target: "draft-2020-12" });
}

/**
 * Check a value, and turn it into what the schema makes of it. A JSON Schema has nothing to add: the gateway checked it.
 *
 * @param {unknown} schema  undefined for none
 * @param {unknown} value
 * @returns {Promise<any>}
 * @throws {ValueError}
 */
export async function parsed(schema, value) {
  const standard = standardOf(schema);
  if (standard === undefined) return value;
  const result = await standard.validate(value);
  if (result.issues !== undefined) throw new ValueError(value, result.issues);
  return result.value;
}

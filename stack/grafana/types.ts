// The type of a dashboard of ours, made of the types of Grafana's foundation SDK.
import type { Dashboard, FieldConfig, Panel, RowPanel } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';
import type * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

/** A type as JSON has it: the values of enumerations, and no methods. */
type Json<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer Item)[] ? Json<Item>[]
  : { [Key in keyof T as T[Key] extends () => void ? never : Key]: Json<T[Key]> };

/** The SDK leaves open what a panel asks and how it draws, because that depends on its kind. */
type TimeSeries = Omit<Json<Panel>, 'type' | 'targets' | 'options' | 'fieldConfig'> & {
  type: 'timeseries';
  targets: Json<Dataquery>[];
  options: Json<timeseries.Options>;
  fieldConfig: { defaults: Omit<Json<FieldConfig>, 'custom'> & { custom: Json<timeseries.FieldConfig> }; overrides: [] };
};

export type Checked = Omit<Json<Dashboard>, 'panels'> & { panels: (TimeSeries | Json<RowPanel>)[] };

-- A store of the schema revision 0001, as sqlite3's .dump gives it: a run that completed, one that failed, one that was killed.
BEGIN TRANSACTION;
CREATE TABLE zenml_artifacts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	step_run_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	uri TEXT NOT NULL, 
	store TEXT NOT NULL, 
	artifact_type TEXT NOT NULL, 
	data_type TEXT NOT NULL, 
	materializer TEXT NOT NULL, 
	manifest TEXT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	CONSTRAINT uq_zenml_artifacts_step_run_id_position UNIQUE (step_run_id, position), 
	CONSTRAINT fk_zenml_artifacts_step_run_id FOREIGN KEY(step_run_id) REFERENCES zenml_step_runs (id)
);
INSERT INTO "zenml_artifacts" VALUES(1,1,0,'data','/store/runs/96e54faa-1e9a-413e-9257-9fea692a63d1/data','/store','zenml.artifacts.artifact.DataArtifact','builtins.int','zenml.materializers.scalar_materializer.ScalarMaterializer','[["data.json",3,"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]]','2082e75fb54d141674779df64f3608b8eba30fe81b5ea6faaea456af2419748e',3);
INSERT INTO "zenml_artifacts" VALUES(2,2,0,'model','/store/runs/eb567bbc-f1f8-44bc-a3eb-73c3bc2ef787/model','/store','zenml.artifacts.artifact.DataArtifact','builtins.int','zenml.materializers.scalar_materializer.ScalarMaterializer','[["data.json",3,"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]]','2082e75fb54d141674779df64f3608b8eba30fe81b5ea6faaea456af2419748e',3);
CREATE TABLE zenml_attempts (
	id INTEGER NOT NULL, 
	step_run_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	token BIGINT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	owner TEXT NOT NULL, 
	lease_until DOUBLE NOT NULL, 
	started DOUBLE NOT NULL, 
	ended DOUBLE, 
	error_type TEXT, 
	error_message TEXT, 
	error_traceback TEXT, 
	CONSTRAINT pk_zenml_attempts PRIMARY KEY (id), 
	CONSTRAINT uq_zenml_attempts_step_run_id_number UNIQUE (step_run_id, number), 
	CONSTRAINT fk_zenml_attempts_step_run_id FOREIGN KEY(step_run_id) REFERENCES zenml_step_runs (id)
);
INSERT INTO "zenml_attempts" VALUES(1,1,1,1,'completed','["process","boot","pid:[1]",4711,12.5,""]',1.79524540932131099701e+09,1.79524534932159471507e+09,1.79524534932237958906e+09,NULL,NULL,NULL);
INSERT INTO "zenml_attempts" VALUES(2,2,1,1,'completed','["process","boot","pid:[1]",4711,12.5,""]',1.79524540932319974896e+09,1.79524534932326102257e+09,1.7952453493235697746e+09,NULL,NULL,NULL);
INSERT INTO "zenml_attempts" VALUES(3,4,1,1,'failed','["process","boot","pid:[1]",4711,12.5,""]',1.79524540932558965677e+09,1.79524534932564473147e+09,1.79524534932575297353e+09,'ValueError','too small','Traceback ...');
INSERT INTO "zenml_attempts" VALUES(4,5,1,1,'running','["process","boot","pid:[1]",4711,12.5,""]',1.79524540932648754123e+09,1.795245349326527834e+09,NULL,NULL,NULL,NULL);
CREATE TABLE zenml_deployments (
	run_id INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_zenml_deployments PRIMARY KEY (run_id, part), 
	CONSTRAINT fk_zenml_deployments_run_id FOREIGN KEY(run_id) REFERENCES zenml_runs (id)
);
INSERT INTO "zenml_deployments" VALUES(1,0,'{"version":1}');
INSERT INTO "zenml_deployments" VALUES(2,0,'{}');
INSERT INTO "zenml_deployments" VALUES(3,0,'{}');
CREATE TABLE zenml_inputs (
	step_run_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	artifact_id INTEGER NOT NULL, 
	CONSTRAINT pk_zenml_inputs PRIMARY KEY (step_run_id, position), 
	CONSTRAINT fk_zenml_inputs_step_run_id FOREIGN KEY(step_run_id) REFERENCES zenml_step_runs (id), 
	CONSTRAINT fk_zenml_inputs_artifact_id FOREIGN KEY(artifact_id) REFERENCES zenml_artifacts (id)
)
 WITHOUT ROWID

;
INSERT INTO "zenml_inputs" VALUES(2,0,'data',1);
INSERT INTO "zenml_inputs" VALUES(4,0,'data',1);
CREATE TABLE zenml_logged_parameters (
	id INTEGER NOT NULL, 
	step_run_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_zenml_logged_parameters PRIMARY KEY (id), 
	CONSTRAINT uq_zenml_logged_parameters_step_run_id_name UNIQUE (step_run_id, name), 
	CONSTRAINT fk_zenml_logged_parameters_step_run_id FOREIGN KEY(step_run_id) REFERENCES zenml_step_runs (id)
);
INSERT INTO "zenml_logged_parameters" VALUES(1,2,'kernel','rbf');
CREATE TABLE zenml_metadata_version (
	version_num VARCHAR(32) NOT NULL, 
	zenml_version VARCHAR(64), 
	CONSTRAINT pk_zenml_metadata_version PRIMARY KEY (version_num)
);
INSERT INTO "zenml_metadata_version" VALUES('0001','0.1.0');
CREATE TABLE zenml_metrics (
	id INTEGER NOT NULL, 
	step_run_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	value DOUBLE, 
	special VARCHAR(4), 
	step BIGINT NOT NULL, 
	recorded DOUBLE NOT NULL, 
	CONSTRAINT pk_zenml_metrics PRIMARY KEY (id), 
	CONSTRAINT fk_zenml_metrics_step_run_id FOREIGN KEY(step_run_id) REFERENCES zenml_step_runs (id)
);
INSERT INTO "zenml_metrics" VALUES(1,2,'accuracy',0.9,NULL,0,1.79524534932366204263e+09);
CREATE TABLE zenml_pipelines (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	CONSTRAINT pk_zenml_pipelines PRIMARY KEY (id), 
	CONSTRAINT uq_zenml_pipelines_name UNIQUE (name)
);
INSERT INTO "zenml_pipelines" VALUES(1,'digits');
CREATE TABLE zenml_runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid VARCHAR(36) NOT NULL, 
	pipeline_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	stack VARCHAR(255) NOT NULL, 
	runtime_configuration TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	ended DOUBLE, 
	error_type TEXT, 
	error_message TEXT, 
	error_traceback TEXT, 
	zenml_version VARCHAR(64) NOT NULL, 
	git_sha VARCHAR(64), 
	owner TEXT, 
	lease_until DOUBLE, 
	cancel_requested DOUBLE, 
	CONSTRAINT uq_zenml_runs_uuid UNIQUE (uuid), 
	CONSTRAINT uq_zenml_runs_name UNIQUE (name), 
	CONSTRAINT fk_zenml_runs_pipeline_id FOREIGN KEY(pipeline_id) REFERENCES zenml_pipelines (id)
);
INSERT INTO "zenml_runs" VALUES(1,'8ca0b187-42d3-45b8-8469-566c405b1a8b',1,'first','completed','default','{"run_name":"first"}',1.79524534930935215949e+09,1.795245349324442625e+09,NULL,NULL,NULL,'0.1.0','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','["process","boot","pid:[1]",4711,12.5,""]',1.79524540927339339253e+09,NULL);
INSERT INTO "zenml_runs" VALUES(2,'73958d6a-1c71-444e-a4de-836f69488409',1,'second','failed','default','{}',1.79524534932474374776e+09,1.79524534932622575758e+09,'ValueError','too small','Traceback ...','0.1.0',NULL,'["process","boot","pid:[1]",4711,12.5,""]',1.79524540932472848886e+09,NULL);
INSERT INTO "zenml_runs" VALUES(3,'b9f7d199-92dc-4817-ba24-d4ece5cb8ab5',1,'killed','running','default','{}',1.79524534932629251486e+09,NULL,NULL,NULL,NULL,'0.1.0',NULL,'["process","boot","pid:[1]",4711,12.5,""]',1.79524540932628202437e+09,NULL);
CREATE TABLE zenml_step_runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	run_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	map_index INTEGER NOT NULL, 
	entrypoint_name VARCHAR(255) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	parameters TEXT NOT NULL, 
	docstring TEXT, 
	cache_key VARCHAR(64), 
	key_parts TEXT, 
	result_key VARCHAR(64), 
	source_id INTEGER, 
	attempts INTEGER NOT NULL, 
	token BIGINT NOT NULL, 
	started DOUBLE, 
	ended DOUBLE, 
	error_type TEXT, 
	error_message TEXT, 
	error_traceback TEXT, 
	reason TEXT, 
	CONSTRAINT uq_zenml_step_runs_run_id_name_map_index UNIQUE (run_id, name, map_index), 
	CONSTRAINT fk_zenml_step_runs_run_id FOREIGN KEY(run_id) REFERENCES zenml_runs (id), 
	CONSTRAINT fk_zenml_step_runs_source_id FOREIGN KEY(source_id) REFERENCES zenml_step_runs (id)
);
INSERT INTO "zenml_step_runs" VALUES(1,1,0,'load',-1,'load','completed','{"path":"digits.csv"}','Load it.','key of load','{"code load":"1111111111111111111111111111111111111111111111111111111111111111","output data":"2222222222222222222222222222222222222222222222222222222222222222"}','key of load',NULL,1,1,1.79524534932159471507e+09,1.79524534932237958906e+09,NULL,NULL,NULL,NULL);
INSERT INTO "zenml_step_runs" VALUES(2,1,1,'train',-1,'train','completed','{"lr":0.1}',NULL,'key of train','{}','key of train',NULL,1,1,1.79524534932326102257e+09,1.7952453493235697746e+09,NULL,NULL,NULL,NULL);
INSERT INTO "zenml_step_runs" VALUES(3,2,0,'load',-1,'load','cached','{}',NULL,'key of load',NULL,NULL,1,0,1,1.79524534932498764988e+09,1.79524534932498764988e+09,NULL,NULL,NULL,NULL);
INSERT INTO "zenml_step_runs" VALUES(4,2,1,'train',-1,'train','failed','{}',NULL,'another key','{}',NULL,NULL,1,1,1.79524534932564473147e+09,1.79524534932575297353e+09,'ValueError','too small','Traceback ...',NULL);
INSERT INTO "zenml_step_runs" VALUES(5,3,0,'load',-1,'load','running','{}',NULL,'killed','{}',NULL,NULL,1,1,1.795245349326527834e+09,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "zenml_step_runs" VALUES(6,3,1,'train',-1,'train','pending','{}',NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX ix_zenml_runs_pipeline_id_status_id ON zenml_runs (pipeline_id, status, id);
CREATE INDEX ix_zenml_runs_status_id ON zenml_runs (status, id);
CREATE INDEX ix_zenml_runs_pipeline_id_id ON zenml_runs (pipeline_id, id);
CREATE INDEX ix_zenml_step_runs_result_key_id ON zenml_step_runs (result_key, id);
CREATE INDEX ix_zenml_step_runs_source_id ON zenml_step_runs (source_id);
CREATE INDEX ix_zenml_metrics_step_run_id_id ON zenml_metrics (step_run_id, id);
CREATE INDEX ix_zenml_inputs_artifact_id ON zenml_inputs (artifact_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('zenml_runs',3);
INSERT INTO "sqlite_sequence" VALUES('zenml_step_runs',6);
INSERT INTO "sqlite_sequence" VALUES('zenml_artifacts',2);
COMMIT;

BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v2.4.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'recipe');
INSERT INTO "studies" VALUES(2,'loss');
INSERT INTO "studies" VALUES(3,'front');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	CONSTRAINT studydirection CHECK (direction IN ('NOT_SET', 'MINIMIZE', 'MAXIMIZE')), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MINIMIZE',2,0);
INSERT INTO "study_directions" VALUES(3,'MAXIMIZE',3,0);
INSERT INTO "study_directions" VALUES(4,'MINIMIZE',3,1);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json VARCHAR(2048), 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json VARCHAR(2048), 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,2.16261144571634211786e+01);
INSERT INTO "trial_intermediate_values" VALUES(2,2,1,9e999);
INSERT INTO "trial_intermediate_values" VALUES(3,3,1,1.57460405788649921983e+01);
INSERT INTO "trial_intermediate_values" VALUES(4,4,1,1.21064087847689378914e+01);
INSERT INTO "trial_intermediate_values" VALUES(5,5,1,1.44205874647265162025e+01);
INSERT INTO "trial_intermediate_values" VALUES(6,6,1,1.61569108338173208494e+01);
INSERT INTO "trial_intermediate_values" VALUES(7,7,1,1.03426669063075848953e+01);
INSERT INTO "trial_intermediate_values" VALUES(8,8,1,1.62472734179394358018e+01);
INSERT INTO "trial_intermediate_values" VALUES(9,9,1,1.91310952743818383225e+01);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json VARCHAR(2048), 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'contrastive.weight',1.56766771955060635335e+00,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(2,1,'temperature',2.5951315088475818138e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(3,1,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(4,1,'Head.Layers',2.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(5,1,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(6,1,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(7,2,'contrastive.weight',5.62793204741516617239e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(8,2,'temperature',3.89711305758047354963e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(9,2,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(10,2,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(11,2,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(12,3,'contrastive.weight',1.46858859892008428715e+01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(13,3,'temperature',1.68991524607066984087e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(14,3,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(15,3,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(16,3,'dropout',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(17,4,'contrastive.weight',0.0192373050965465,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(18,4,'temperature',6.11081736435447192556e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(19,4,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(20,4,'Head.Layers',1.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(21,4,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(22,4,'dropout',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(23,5,'contrastive.weight',3.64252986857047100777e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(24,5,'temperature',3.7072960008340011262e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(25,5,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(26,5,'Head.Layers',1.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(27,5,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(28,5,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(29,6,'contrastive.weight',1.32469746474684306751e+01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(30,6,'temperature',6.56514662807356763618e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(31,6,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(32,6,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(33,6,'dropout',0.0,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(34,7,'contrastive.weight',6.00724947590619464668e+01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(35,7,'temperature',1.66271695770029176442e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(36,7,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(37,7,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(38,7,'dropout',0.0,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(39,8,'contrastive.weight',1.25007122308362461637e+01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(40,8,'temperature',1.42928993866848624838e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(41,8,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(42,8,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(43,8,'dropout',0.0,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(44,9,'contrastive.weight',2.95489455872668305147e+00,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(45,9,'temperature',2.04675437348308147944e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(46,9,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(47,9,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(48,9,'dropout',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(49,12,'contrastive.weight',4.6568046379195665585e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(50,12,'temperature',2.62599864571398500245e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(51,12,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(52,12,'Head.Layers',2.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(53,12,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(54,12,'dropout',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(55,13,'contrastive.weight',8.79743178080501647686e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(56,13,'temperature',1.24609378984427143777e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(57,13,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(58,13,'Head.Layers',2.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(59,13,'train.batch_size',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(60,13,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(61,14,'contrastive.weight',5.54599672224104223161e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(62,14,'temperature',5.3075761778375578348e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(63,14,'head_kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(64,14,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(65,14,'dropout',0.25,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
INSERT INTO "trial_params" VALUES(66,15,'Head.Layers',2.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 3, "step": 1}}');
INSERT INTO "trial_params" VALUES(67,15,'contrastive.weight',4.80254240621743377914e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.01, "high": 100}}');
INSERT INTO "trial_params" VALUES(68,15,'temperature',1.06980549757235074426e-01,'{"name": "LogUniformDistribution", "attributes": {"low": 0.05, "high": 0.5}}');
INSERT INTO "trial_params" VALUES(69,15,'head_kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["none", "mlp"]}}');
INSERT INTO "trial_params" VALUES(70,15,'train.batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["8", "16"]}}');
INSERT INTO "trial_params" VALUES(71,15,'dropout',0.0,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.25}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json VARCHAR(2048), 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,11,'fixed_params','{"temperature": 0.1}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json VARCHAR(2048), 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,2.16261144571634211786e+01);
INSERT INTO "trial_values" VALUES(2,2,0,19.4233115967395);
INSERT INTO "trial_values" VALUES(3,3,0,1.57460405788649921983e+01);
INSERT INTO "trial_values" VALUES(4,6,0,9e999);
INSERT INTO "trial_values" VALUES(5,7,0,1.03426669063075848953e+01);
INSERT INTO "trial_values" VALUES(6,8,0,1.62472734179394358018e+01);
INSERT INTO "trial_values" VALUES(7,9,0,1.91310952743818383225e+01);
INSERT INTO "trial_values" VALUES(8,12,0,-2.14069034456567770514e+01);
INSERT INTO "trial_values" VALUES(9,13,0,-1.85322372728753492765e+01);
INSERT INTO "trial_values" VALUES(10,14,0,1.97502849157346638264e+01);
INSERT INTO "trial_values" VALUES(11,14,1,0.0);
INSERT INTO "trial_values" VALUES(12,15,0,2.15886376769126542285e+01);
INSERT INTO "trial_values" VALUES(13,15,1,1.0);
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id), 
	CONSTRAINT trialstate CHECK (state IN ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING'))
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-27 20:56:43.433434','2026-11-27 20:56:44.323893');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-27 20:56:44.416764','2026-11-27 20:56:44.499939');
INSERT INTO "trials" VALUES(3,2,1,'PRUNED','2026-11-27 20:56:44.609156','2026-11-27 20:56:44.711200');
INSERT INTO "trials" VALUES(4,3,1,'FAIL','2026-11-27 20:56:44.781743','2026-11-27 20:56:44.880631');
INSERT INTO "trials" VALUES(5,4,1,'FAIL','2026-11-27 20:56:44.920062','2026-11-27 20:56:44.987717');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE','2026-11-27 20:56:45.041867','2026-11-27 20:56:45.128779');
INSERT INTO "trials" VALUES(7,6,1,'COMPLETE','2026-11-27 20:56:45.191920','2026-11-27 20:56:45.292845');
INSERT INTO "trials" VALUES(8,7,1,'COMPLETE','2026-11-27 20:56:45.354623','2026-11-27 20:56:45.418158');
INSERT INTO "trials" VALUES(9,8,1,'COMPLETE','2026-11-27 20:56:45.490618','2026-11-27 20:56:45.568147');
INSERT INTO "trials" VALUES(10,9,1,'RUNNING','2026-11-27 20:56:45.639020',NULL);
INSERT INTO "trials" VALUES(11,10,1,'WAITING','2026-11-27 20:56:45.679621',NULL);
INSERT INTO "trials" VALUES(12,0,2,'COMPLETE','2026-11-27 20:56:46.008896','2026-11-27 20:56:46.257889');
INSERT INTO "trials" VALUES(13,1,2,'COMPLETE','2026-11-27 20:56:46.322545','2026-11-27 20:56:46.397100');
INSERT INTO "trials" VALUES(14,0,3,'COMPLETE','2026-11-27 20:56:46.701670','2026-11-27 20:56:47.069575');
INSERT INTO "trials" VALUES(15,1,3,'COMPLETE','2026-11-27 20:56:47.161972','2026-11-27 20:56:47.229227');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'2.4.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
COMMIT;
